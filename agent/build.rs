//! What `steadfast version` tells of the build. Everything comes from the toolchain, the lock file and the
//! variables of the build, so that the same sources built the same way give the same program: no time, no
//! host, no state of the checkout.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=STEADFAST_COMMIT");
    tell("COMMIT", env::var("STEADFAST_COMMIT").ok());
    tell("RUSTC", rustc());
    tell("TARGET", env::var("TARGET").ok());
    tell("PROFILE", env::var("PROFILE").ok());
    tell("ROCKSDB", rocksdb());
}

/// As `STEADFAST_BUILD_NAME`; empty where it is not known.
fn tell(name: &str, value: Option<String>) {
    let value = value.unwrap_or_default();
    println!("cargo::rustc-env=STEADFAST_BUILD_{name}={}", value.trim());
}

fn rustc() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?)
        .arg("--version")
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()
}

/// The version behind the `+` of the crate that carries RocksDB's sources.
fn rocksdb() -> Option<String> {
    let lock = lock_file()?;
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = std::fs::read_to_string(lock).ok()?;
    let after = text
        .split("name = \"librocksdb-sys\"\nversion = \"")
        .nth(1)?;
    let version = after.split('"').next()?;
    version.split('+').nth(1).map(str::to_owned)
}

/// Beside the manifest in a published package, else that of the workspace.
fn lock_file() -> Option<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")?;
    Path::new(&manifest)
        .ancestors()
        .take(2)
        .map(|directory| directory.join("Cargo.lock"))
        .find(|lock| lock.is_file())
}
