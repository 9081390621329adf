//! `#[derive(Config)]`: a struct becomes a reader of JSON and the schema of it.
//!
//! # Invariants
//!
//! - Reading and schema come from the same words, so they cannot disagree on a key, a default or what is required.
//! - Serde's own derive does the reading, over a twin of the struct with serde's attributes on it.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, ExprUnary, Field, Fields, Ident, Lit,
    Result, UnOp, ext::IdentExt, spanned::Spanned,
};

/// Expands the derive.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new(parameter.span(), "a configuration has no generic parameters"));
    }
    match &input.data {
        Data::Struct(data) => of_struct(&input.ident, &data.fields),
        Data::Enum(data) => of_enum(&input.ident, data.variants.iter().collect()),
        Data::Union(_) => {
            Err(Error::new(input.ident.span(), "a configuration is a struct or an enum"))
        }
    }
}

fn of_struct(name: &Ident, fields: &Fields) -> Result<TokenStream> {
    let Fields::Named(fields) = fields else {
        return Err(Error::new(name.span(), "a configuration is a struct with named fields"));
    };
    let keys = fields.named.iter().map(Key::read).collect::<Result<Vec<_>>>()?;
    let idents: Vec<_> = keys.iter().map(|key| key.ident).collect();
    let raw = keys.iter().map(Key::raw_field);
    let defaults = keys.iter().map(Key::default_function);
    let properties = keys.iter().map(Key::property);
    let required = keys.iter().map(Key::required);
    Ok(quote! {
        const _: () = {
            use ::bartizan_plugin::{Json as __Json, Schema as __Schema, macro_support::serde as __serde};
            #[derive(__serde::Deserialize)]
            #[serde(crate = "::bartizan_plugin::macro_support::serde", expecting = "an object", deny_unknown_fields)]
            struct __Raw { #(#raw),* }
            #(#defaults)*
            #[automatically_derived]
            impl<'de> __serde::Deserialize<'de> for #name {
                fn deserialize<D: __serde::Deserializer<'de>>(
                    from: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    let __Raw { #(#idents),* } = __serde::Deserialize::deserialize(from)?;
                    ::core::result::Result::Ok(Self { #(#idents),* })
                }
            }
            #[automatically_derived]
            impl __Schema for #name {
                const SCHEMA: __Json = __Json::Parts(&[
                    __Json::Text("\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"),
                    __Json::List(&[#(#properties),*]),
                    __Json::Text("},\"required\":["),
                    __Json::List(&[#(#required),*]),
                    __Json::Text("]"),
                ]);
            }
        };
    })
}

fn of_enum(name: &Ident, variants: Vec<&syn::Variant>) -> Result<TokenStream> {
    if let Some(variant) = variants.iter().find(|variant| !matches!(variant.fields, Fields::Unit)) {
        return Err(Error::new(variant.span(), "a choice in a configuration has no fields"));
    }
    let idents: Vec<_> = variants.iter().map(|variant| &variant.ident).collect();
    let words: Vec<_> = idents.iter().map(|ident| snake_case(&ident.unraw().to_string())).collect();
    let default = variants.iter().zip(&words).find_map(|(variant, word)| {
        let marked = variant.attrs.iter().any(|attribute| attribute.path().is_ident("default"));
        marked.then(|| json(word))
    });
    let default = default.map(|word| {
        quote! { const DEFAULT: ::core::option::Option<&'static str> = ::core::option::Option::Some(#word); }
    });
    let schema = format!("\"type\":\"string\",\"enum\":{}", json(&words));
    Ok(quote! {
        const _: () = {
            use ::bartizan_plugin::{Json as __Json, Schema as __Schema, macro_support::serde as __serde};
            #[derive(__serde::Deserialize)]
            #[serde(crate = "::bartizan_plugin::macro_support::serde", expecting = "one of its words")]
            enum __Raw { #(#[serde(rename = #words)] #idents),* }
            #[automatically_derived]
            impl<'de> __serde::Deserialize<'de> for #name {
                fn deserialize<D: __serde::Deserializer<'de>>(
                    from: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    ::core::result::Result::Ok(match __serde::Deserialize::deserialize(from)? {
                        #(__Raw::#idents => Self::#idents),*
                    })
                }
            }
            #[automatically_derived]
            impl __Schema for #name {
                const SCHEMA: __Json = __Json::Text(#schema);
                #default
            }
        };
    })
}

/// One field of a configuration.
struct Key<'a> {
    ident: &'a Ident,
    ty: &'a syn::Type,
    name: String,
    description: String,
    default: Default,
    secret: bool,
}

enum Default {
    None,
    OfType,
    Given { value: TokenStream, json: serde_json::Value },
}

impl<'a> Key<'a> {
    fn read(field: &'a Field) -> Result<Self> {
        let Some(ident) = &field.ident else {
            return Err(Error::new(field.span(), "a key has a name"));
        };
        let mut key = Self {
            ident,
            ty: &field.ty,
            name: ident.unraw().to_string(),
            description: description(&field.attrs),
            default: Default::None,
            secret: false,
        };
        for attribute in &field.attrs {
            if attribute.path().is_ident("config") {
                key.read_config(attribute)?;
            } else if attribute.path().is_ident("serde") {
                key.read_serde(attribute)?;
            }
        }
        Ok(key)
    }

    fn read_config(&mut self, attribute: &Attribute) -> Result<()> {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("default") {
                self.default = if meta.input.peek(syn::Token![=]) {
                    let given: Expr = meta.value()?.parse()?;
                    let (value, json) = literal(&given)?;
                    Default::Given { value, json }
                } else {
                    Default::OfType
                };
                Ok(())
            } else if meta.path.is_ident("secret") {
                self.secret = true;
                Ok(())
            } else {
                Err(meta.error("expected `default`, `default = …` or `secret`"))
            }
        })
    }

    fn read_serde(&mut self, attribute: &Attribute) -> Result<()> {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("default") && !meta.input.peek(syn::Token![=]) {
                self.default = Default::OfType;
                return Ok(());
            }
            Err(meta.error(
                "the schema cannot follow this attribute: `#[serde(default)]` and `#[config(…)]` are read",
            ))
        })
    }

    fn default_name(&self) -> Ident {
        format_ident!("__default_{}", self.name, span = Span::call_site())
    }

    /// The field of the twin that serde reads.
    fn raw_field(&self) -> TokenStream {
        let Self { ident, ty, .. } = self;
        let attribute = match self.default {
            Default::None => TokenStream::new(),
            Default::OfType => quote! { #[serde(default)] },
            Default::Given { .. } => {
                let function = self.default_name().to_string();
                quote! { #[serde(default = #function)] }
            }
        };
        quote! { #attribute #ident: #ty }
    }

    fn default_function(&self) -> TokenStream {
        let Default::Given { value, .. } = &self.default else { return TokenStream::new() };
        let (name, ty) = (self.default_name(), self.ty);
        quote! { fn #name() -> #ty { #value } }
    }

    /// `"key":{…}` in the schema.
    fn property(&self) -> TokenStream {
        let ty = self.ty;
        let head = format!("{}:{{", json(&self.name));
        let mut tail = String::new();
        if !self.description.is_empty() {
            tail += &format!(",\"description\":{}", json(&self.description));
        }
        if self.secret {
            tail += ",\"format\":\"secret\"";
        }
        let mut default = quote! { __Json::Text("") };
        match &self.default {
            Default::None => {}
            Default::OfType => {
                default = quote! {
                    match <#ty as __Schema>::DEFAULT {
                        ::core::option::Option::Some(json) => {
                            __Json::Parts(&[__Json::Text(",\"default\":"), __Json::Text(json)])
                        }
                        ::core::option::Option::None => __Json::Text(""),
                    }
                };
            }
            Default::Given { json, .. } => tail += &format!(",\"default\":{json}"),
        }
        quote! {
            __Json::Parts(&[
                __Json::Text(#head),
                <#ty as __Schema>::SCHEMA,
                __Json::Text(#tail),
                #default,
                __Json::Text("}"),
            ])
        }
    }

    /// The key's name in the schema's `required`, or nothing.
    fn required(&self) -> TokenStream {
        let (ty, name) = (self.ty, json(&self.name));
        match self.default {
            Default::None => quote! {
                if <#ty as __Schema>::REQUIRED { __Json::Text(#name) } else { __Json::Text("") }
            },
            _ => quote! { __Json::Text("") },
        }
    }
}

/// A default as an expression of the field's type, and as JSON.
fn literal(given: &Expr) -> Result<(TokenStream, serde_json::Value)> {
    let unknown =
        || Error::new(given.span(), "a default is text, a number, a boolean or a list of them");
    match given {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            Ok((quote! { ::core::convert::Into::into(#text) }, text.value().into()))
        }
        Expr::Lit(ExprLit { lit: Lit::Bool(value), .. }) => {
            Ok((quote! { #value }, value.value.into()))
        }
        Expr::Lit(ExprLit { lit: number @ (Lit::Int(_) | Lit::Float(_)), .. }) => {
            Ok((quote! { #number }, number_json(number, "").ok_or_else(unknown)?))
        }
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => {
            let Expr::Lit(ExprLit { lit: number, .. }) = &**expr else { return Err(unknown()) };
            Ok((quote! { -#number }, number_json(number, "-").ok_or_else(unknown)?))
        }
        Expr::Array(list) => {
            let items = list.elems.iter().map(literal).collect::<Result<Vec<_>>>()?;
            let (values, json): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            Ok((quote! { ::std::vec::Vec::from([#(#values),*]) }, json.into()))
        }
        _ => Err(unknown()),
    }
}

fn number_json(number: &Lit, sign: &str) -> Option<serde_json::Value> {
    let digits = match number {
        Lit::Int(number) => number.base10_digits(),
        Lit::Float(number) => number.base10_digits(),
        _ => return None,
    };
    // Rust writes `1.` where JSON wants `1.0`.
    let zero = if digits.ends_with('.') { "0" } else { "" };
    serde_json::from_str(&format!("{sign}{digits}{zero}")).ok()
}

/// The doc comment, its lines joined.
fn description(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(
        |attribute| {
            let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
            let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &pair.value else { return None };
            Some(line.value().trim().to_owned())
        },
    );
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn snake_case(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn json(value: &(impl Clone + Into<serde_json::Value>)) -> String {
    value.clone().into().to_string()
}
