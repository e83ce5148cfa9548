//! Has the linker put together what runs (`deploy/order.ld`), so that an idle gateway takes two thirds of the memory.

use std::env::var;
use std::path::Path;

fn main() {
    const ORDER: &str = "deploy/order.ld";
    println!("cargo::rerun-if-changed={ORDER}");
    let set = |name: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        var(name).unwrap_or_default()
    };
    let order = Path::new(&set("CARGO_MANIFEST_DIR")).join(ORDER);
    // Only GNU's linker and LLVM's, which Rust uses by itself, are known to understand it. Flags may have folders in them.
    let flags = set("CARGO_ENCODED_RUSTFLAGS");
    let (linker, preloaded) = (set("RUSTC_LINKER"), set("LD_PRELOAD"));
    let mut linkers = flags
        .split('\x1f')
        .filter(|flag| flag.trim_start_matches("-C").starts_with("link"))
        .chain([&*linker, &*preloaded]);
    let is_another = linkers.any(|linker| ["mold", "wild", "gold"].iter().any(|other| linker.contains(other)));
    let is_wanted = set("LINK_ORDER") != "off" && !is_another && order.exists();
    if is_wanted && set("CARGO_CFG_TARGET_OS") == "linux" && set("PROFILE") == "release" {
        println!("cargo::rustc-link-arg-bins=-T{}", order.display()); // one word: a blank or a comma does no harm
    }
}
