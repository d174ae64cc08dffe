//! Bakes a hash of the crate's sources into the extension, so that Python can tell a stale build from a fresh one.
//!
//! Hex SHA-256 over, for each of `Cargo.toml`, `Cargo.lock`, `build.rs`, `pyproject.toml`, `.cargo/config.toml` and
//! `src/**/*.rs` in sorted order of the POSIX relative path: path bytes, a zero byte, file bytes, a zero byte.
//! `src/core/crate_hash.py` computes the same.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn rust_sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the crate's sources are readable") {
        let path = entry.expect("the crate's sources are readable").path();
        if path.is_dir() {
            rust_sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let mut files: Vec<PathBuf> = ["Cargo.toml", "Cargo.lock", "build.rs", "pyproject.toml", ".cargo/config.toml"]
        .iter()
        .map(|name| root.join(name))
        .filter(|path| path.is_file())
        .collect();
    rust_sources(&root.join("src"), &mut files);
    let mut named: Vec<(String, PathBuf)> = files
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).expect("below the crate");
            let parts: Vec<_> = relative.iter().map(|p| p.to_string_lossy()).collect();
            (parts.join("/"), path)
        })
        .collect();
    named.sort();
    let mut hash = Sha256::new();
    for (name, path) in &named {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(std::fs::read(path).expect("the crate's sources are readable"));
        hash.update([0]);
    }
    let hex = hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    println!("cargo:rustc-env=PASSIVBOT_SOURCE_HASH={hex}");
    println!("cargo:rerun-if-changed=src");
    for name in ["Cargo.toml", "Cargo.lock", "build.rs", "pyproject.toml", ".cargo/config.toml"] {
        println!("cargo:rerun-if-changed={name}");
    }
}
