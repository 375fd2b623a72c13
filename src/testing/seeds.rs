//! The seeds of the fuzz targets as tests. A finding of the fuzzer is kept by adding its input to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::httparse_opinion::ask;
use super::{
    fuzz_close_payload, fuzz_exchange, fuzz_extensions, fuzz_head, fuzz_http2, fuzz_http3, fuzz_inflate,
    fuzz_multipart, fuzz_proxy_header, fuzz_router, fuzz_session, fuzz_utf8,
};

/// One target.
struct Target {
    /// Its name, and that of its folder of seeds.
    name: &'static str,
    /// What it runs.
    run: fn(&[u8]),
}

/// Every target.
const TARGETS: [Target; 12] = [
    Target { name: "close_payload", run: fuzz_close_payload::close_payload },
    Target { name: "exchange", run: |data| fuzz_exchange::exchange(data, ask) },
    Target { name: "extensions", run: fuzz_extensions::extensions },
    Target { name: "head", run: |data| fuzz_head::head(data, ask) },
    Target { name: "http2", run: fuzz_http2::http2 },
    Target { name: "http3", run: fuzz_http3::http3 },
    Target { name: "inflate", run: fuzz_inflate::inflate },
    Target { name: "multipart", run: fuzz_multipart::multipart },
    Target { name: "proxy_header", run: fuzz_proxy_header::proxy_header },
    Target { name: "router", run: fuzz_router::router },
    Target { name: "session", run: fuzz_session::session },
    Target { name: "utf8", run: fuzz_utf8::utf8 },
];

/// A folder of the fuzz package.
fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(path)
}

/// The names of a folder's files, without extension.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// Runs a target on all its seeds.
fn run(name: &str) {
    let target = TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let seeds = folder("seeds").join(name);
    let mut count = 0;
    for entry in fs::read_dir(&seeds).unwrap_or_else(|error| panic!("{}: {error}", seeds.display())) {
        let path = entry.unwrap().path();
        // Only shown if the target panics.
        println!("seed {}", path.display());
        (target.run)(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{name} has no seeds");
}

#[test]
fn every_target_is_run_here_and_has_a_folder_of_seeds() {
    let known: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names(&folder("fuzz_targets")), known);
    assert_eq!(names(&folder("seeds")), known);
}

#[test]
fn close_payload_holds_for_its_seeds() {
    run("close_payload");
}

#[test]
fn exchange_holds_for_its_seeds() {
    run("exchange");
}

#[test]
fn extensions_holds_for_its_seeds() {
    run("extensions");
}

#[test]
fn head_holds_for_its_seeds() {
    run("head");
}

#[test]
fn http2_holds_for_its_seeds() {
    run("http2");
}

#[test]
fn http3_holds_for_its_seeds() {
    run("http3");
}

#[test]
fn inflate_holds_for_its_seeds() {
    run("inflate");
}

#[test]
fn multipart_holds_for_its_seeds() {
    run("multipart");
}

#[test]
fn proxy_header_holds_for_its_seeds() {
    run("proxy_header");
}

#[test]
fn router_holds_for_its_seeds() {
    run("router");
}

#[test]
fn session_holds_for_its_seeds() {
    run("session");
}

#[test]
fn utf8_holds_for_its_seeds() {
    run("utf8");
}
