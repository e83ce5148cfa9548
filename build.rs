//! Has the linker put together what runs (`deploy/order.ld`), so that an idle gateway takes two thirds of the memory.

use std::env::var;
use std::path::Path;

fn main() {
    const ORDER: &str = "deploy/order.ld";
    println!("cargo::rerun-if-changed={ORDER}");
    let order = Path::new(&var("CARGO_MANIFEST_DIR").unwrap_or_default()).join(ORDER);
    let is = |name: &str, value: &str| var(name).is_ok_and(|set| set == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") && !has_another_linker() && order.exists() {
        println!("cargo::rustc-link-arg-bins=-T{}", order.display()); // as one word, so that a blank or a comma does no harm
    }
}

/// Only GNU's linker and LLVM's, which Rust uses by itself, are known to understand it.
fn has_another_linker() -> bool {
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let named = flags.split("fuse-ld=").skip(1).map(|rest| rest.split('\x1f').next().unwrap_or_default());
    let linker = var("RUSTC_LINKER").unwrap_or_default();
    let driver = Path::new(&linker).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    named.chain([driver]).any(|name| ["mold", "wild", "gold"].iter().any(|other| name.contains(other)))
}
