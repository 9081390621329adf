//! `plugin! { … }`: how it is written, and what it becomes.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Ident, LitInt, LitStr, Result, Token, Type, braced, bracketed,
    ext::IdentExt,
    parse::{Parse, ParseStream},
};

use crate::manifest;

/// What an author wrote.
pub(crate) struct Plugin {
    pub(crate) collector: Type,
    /// `key: "text"`, each once.
    pub(crate) texts: Vec<(Ident, LitStr)>,
    /// `needs { key: ["text"] }`.
    pub(crate) needs: Vec<(Ident, Vec<LitStr>)>,
    pub(crate) metrics: Vec<Metric>,
}

/// One line of `metrics { … }`.
pub(crate) struct Metric {
    pub(crate) variant: Ident,
    pub(crate) kind: Ident,
    pub(crate) name: LitStr,
    pub(crate) unit: LitStr,
    pub(crate) labels: Vec<LitStr>,
    pub(crate) help: LitStr,
    pub(crate) max_series: Option<u32>,
}

const KEYS: [&str; 8] =
    ["id", "license", "interval", "timeout", "threads", "name", "description", "config"];

impl Parse for Plugin {
    fn parse(input: ParseStream) -> Result<Self> {
        let collector = input.parse()?;
        let mut plugin =
            Self { collector, texts: Vec::new(), needs: Vec::new(), metrics: Vec::new() };
        while !input.is_empty() {
            // A comma stands between two keys, and may be left out after a brace.
            let _: Option<Token![,]> = input.parse()?;
            if input.is_empty() {
                break;
            }
            let key = input.call(Ident::parse_any)?;
            let word = key.to_string();
            if word == "metrics" {
                let lines;
                braced!(lines in input);
                while !lines.is_empty() {
                    plugin.metrics.push(lines.parse()?);
                }
            } else if word == "needs" {
                let list;
                braced!(list in input);
                while !list.is_empty() {
                    let need = list.call(Ident::parse_any)?;
                    list.parse::<Token![:]>()?;
                    plugin.needs.push((need, texts(&list)?));
                    let _: Option<Token![,]> = list.parse()?;
                }
            } else if KEYS.contains(&word.as_str()) {
                if plugin.texts.iter().any(|(other, _)| *other == word) {
                    return Err(syn::Error::new(key.span(), format!("`{word}` stands twice")));
                }
                input.parse::<Token![:]>()?;
                plugin.texts.push((key, input.parse()?));
            } else {
                let known = KEYS.join("`, `");
                let text = format!("unknown key, expected `{known}`, `needs` or `metrics`");
                return Err(syn::Error::new(key.span(), text));
            }
        }
        Ok(plugin)
    }
}

impl Parse for Metric {
    fn parse(input: ParseStream) -> Result<Self> {
        let variant = input.parse()?;
        input.parse::<Token![:]>()?;
        let kind = input.parse()?;
        let name = input.parse()?;
        let unit = input.parse()?;
        let labels = texts(input)?;
        let help = input.parse()?;
        let mut max_series = None;
        if !input.peek(Token![;]) {
            let key: Ident = input.parse()?;
            if key != "max_series" {
                return Err(syn::Error::new(key.span(), "expected `;` or `max_series: N;`"));
            }
            input.parse::<Token![:]>()?;
            max_series = Some(input.parse::<LitInt>()?.base10_parse()?);
        }
        input.parse::<Token![;]>()?;
        Ok(Self { variant, kind, name, unit, labels, help, max_series })
    }
}

fn texts(input: ParseStream) -> Result<Vec<LitStr>> {
    let list;
    bracketed!(list in input);
    Ok(list.parse_terminated(|item| item.parse(), Token![,])?.into_iter().collect())
}

impl Plugin {
    /// The text of a key, where it was given.
    pub(crate) fn text(&self, key: &str) -> Option<&LitStr> {
        self.texts.iter().find(|(other, _)| other == key).map(|(_, text)| text)
    }
}

/// Expands the macro.
pub(crate) fn expand(plugin: &Plugin) -> Result<TokenStream> {
    let head = manifest::head(plugin)?;
    let collector = &plugin.collector;
    let schema = if let Some(schema) = manifest::schema(plugin)? {
        quote! { __Json::Text(#schema) }
    } else {
        quote! {
            __Json::Parts(&[
                __Json::Text("{"),
                <<#collector as ::bartizan_plugin::Collector>::Config as ::bartizan_plugin::Schema>::SCHEMA,
                __Json::Text("}"),
            ])
        }
    };
    let durations = ["interval", "timeout"].into_iter().filter_map(|key| {
        let text = plugin.text(key)?;
        let complaint = format!("{key} is {:?}, must be like \"500ms\", \"5s\" or \"1m\"", text.value());
        Some(quote! {
            ::core::assert!(::bartizan_plugin::manifest::parse_duration(#text).is_some(), #complaint);
        })
    });
    let (variants, helps): (Vec<_>, Vec<_>) =
        plugin.metrics.iter().map(|metric| (&metric.variant, &metric.help)).unzip();
    Ok(quote! {
        /// The metrics of this plugin, in the order of its manifest.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum M { #(#[doc = #helps] #variants),* }

        impl ::bartizan_plugin::Metric for M {
            fn index(self) -> u32 {
                self as u32
            }
        }

        const _: () = {
            use ::bartizan_plugin::{Json as __Json, macro_support as __support};

            #(#durations)*

            const TEXT: __Json = __Json::Parts(&[
                __Json::Text(#head),
                __Json::Text(",\"config_schema\":"),
                #schema,
                __Json::Text("}"),
            ]);

            /// The manifest, as it lies in the file.
            #[used]
            #[unsafe(export_name = "bartizan_manifest_v1")]
            #[unsafe(link_section = ".bartizan_manifest")]
            pub static MANIFEST: [u8; __support::json_len(&TEXT)] = __support::render(&TEXT);

            /// What the daemon calls.
            static ENTRY: ::bartizan_plugin::abi::BzEntry = __support::entry::<#collector>(&MANIFEST);

            /// The one function that the daemon looks up.
            #[unsafe(no_mangle)]
            pub extern "C" fn bartizan_plugin_v1() -> *const ::bartizan_plugin::abi::BzEntry {
                &ENTRY
            }

            impl ::bartizan_plugin::Plugin for #collector {
                const MANIFEST: &'static [u8] = &MANIFEST;
            }
        };
    })
}
