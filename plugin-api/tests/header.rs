//! The C header says what `abi.rs` says, and compiles cleanly as C99, C11 and C++20.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

use std::{
    env, fs,
    mem::{offset_of, size_of},
    path::{Path, PathBuf},
    process::Command,
};

use bartizan_plugin::abi::{
    ABI_MAJOR, ABI_MINOR, BzCollect, BzCreateArgs, BzEntry, BzHost, BzLabel, BzSample, BzStr,
    BzValue, FLOAT, Level, MAGIC, NO_SERIES, Status,
};

/// Compiles a C source with the header at hand; panics with the compiler's words.
fn compile(name: &str, source: &str, compiler: &str, flags: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (from, to) = (folder.join(name), folder.join(format!("{name}.out")));
    fs::write(&from, source).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let done = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(include)
        .args(flags)
        .arg("-o")
        .args([&to, &from])
        .output()
        .unwrap_or_else(|error| panic!("failed to run {compiler}: {error}"));
    assert!(
        done.status.success(),
        "{compiler} {flags:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    to
}

/// The shape of a struct, as Rust has it and as a piece of C that prints it.
macro_rules! shape {
    ($rust:ty, $c:literal, [$($field:ident),+]) => {{
        let mut rust = format!("{} {}\n", $c, size_of::<$rust>());
        let mut c = format!("printf(\"{} %zu\\n\", sizeof({}));\n", $c, $c);
        $(
            let field = stringify!($field);
            rust += &format!("{}.{field} {}\n", $c, offset_of!($rust, $field));
            c += &format!("printf(\"{}.{field} %zu\\n\", offsetof({}, {field}));\n", $c, $c);
        )+
        (rust, c)
    }};
}

#[test]
fn every_field_lies_where_rust_has_it() {
    let shapes = [
        shape!(BzStr, "bz_str", [ptr, len]),
        shape!(BzLabel, "bz_label", [key, val]),
        shape!(BzValue, "bz_value", [f, u, i]),
        shape!(BzSample, "bz_sample", [series, flags, v]),
        shape!(
            BzCollect,
            "bz_collect",
            [size, _r0, now_unix_ns, deadline_mono_ns, cancelled, buf, cap, len, dropped, _r1]
        ),
        shape!(BzHost, "bz_host", [size, abi_minor, data, log, error, series, series_drop, ext]),
        shape!(
            BzCreateArgs,
            "bz_create_args",
            [size, _r0, config_json, instance, target, interval_ns]
        ),
        shape!(
            BzEntry,
            "bz_entry",
            [magic, size, abi_minor, manifest, create, collect, destroy, ext]
        ),
    ];
    let (mut rust, c): (String, String) = shapes.into_iter().unzip();
    let mut numbers = vec![
        ("BZ_ABI_MAJOR", u64::from(ABI_MAJOR)),
        ("BZ_ABI_MINOR", u64::from(ABI_MINOR)),
        ("BZ_MAGIC", MAGIC),
        ("BZ_NO_SERIES", u64::from(NO_SERIES)),
        ("BZ_FLOAT", u64::from(FLOAT)),
    ];
    let statuses =
        ["OK", "UNAVAILABLE", "RETRY", "CONFIG", "PERM", "UNSUPPORTED", "FATAL", "PANIC"];
    let statuses = statuses.map(|name| format!("BZ_{name}"));
    for (name, status) in statuses.iter().zip(Status::ALL) {
        numbers.push((name, u64::try_from(status.code()).unwrap()));
    }
    for (name, level) in [
        ("BZ_LOG_ERROR", Level::Error),
        ("BZ_LOG_WARN", Level::Warn),
        ("BZ_LOG_INFO", Level::Info),
        ("BZ_LOG_DEBUG", Level::Debug),
        ("BZ_LOG_TRACE", Level::Trace),
    ] {
        numbers.push((name, u64::from(level as u32)));
    }
    let mut prints = c;
    for (name, number) in numbers {
        rust += &format!("{name} {number}\n");
        prints += &format!("printf(\"{name} %llu\\n\", (unsigned long long){name});\n");
    }
    let source = format!(
        "#include <bartizan_plugin.h>\n#include <stdio.h>\nint main(void) {{\n{prints}return 0;\n}}\n"
    );
    let program = compile("layout.c", &source, "cc", &["-std=c11"]);
    let said = Command::new(program).output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), rust);
}

#[test]
fn a_plugin_compiles_cleanly_in_every_language_of_the_header() {
    let source = r#"
#include <bartizan_plugin.h>
static uint32_t load;
static int32_t create(const bz_host *h, const bz_create_args *a, void **self) {
    bz_label label;
    label.key = bz_text("server");
    label.val = a->target;
    load = h->series(h, 0, &label, 1);
    *self = &load;
    return BZ_OK;
}
static int32_t collect(void *self, bz_collect *c) {
    if (bz_cancelled(c)) return BZ_RETRY;
    bz_gauge(c, *(uint32_t *)self, 0.5);
    bz_counter(c, *(uint32_t *)self, 7);
    return BZ_OK;
}
static void destroy(void *self) { (void)self; }
BZ_PLUGIN("{\"abi\":{\"major\":1,\"min_minor\":0}}", create, collect, destroy);
"#;
    for (name, compiler, standard) in [
        ("plugin99.c", "cc", "-std=c99"),
        ("plugin11.c", "cc", "-std=c11"),
        ("plugin20.cc", "c++", "-std=c++20"),
    ] {
        compile(name, source, compiler, &[standard, "-shared", "-fPIC", "-fvisibility=hidden"]);
    }
}
