//! The seeds of the fuzz targets as tests. A finding of the fuzzer is kept by adding its input to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::httparse_opinion::ask;
use super::{fuzz_close_payload, fuzz_exchange, fuzz_head, fuzz_router, fuzz_session, fuzz_utf8};

/// Every target: its name, and what it runs.
const TARGETS: [(&str, fn(&[u8])); 6] = [
    ("close_payload", fuzz_close_payload::close_payload),
    ("exchange", |data| fuzz_exchange::exchange(data, ask)),
    ("head", |data| fuzz_head::head(data, ask)),
    ("router", fuzz_router::router),
    ("session", fuzz_session::session),
    ("utf8", fuzz_utf8::utf8),
];

/// A folder of the fuzz package.
fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(path)
}

/// What is in a folder, by name without extension.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// Runs a target on all its seeds.
fn run(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let seeds = folder("seeds").join(name);
    let mut count = 0;
    for entry in fs::read_dir(&seeds).unwrap_or_else(|error| panic!("{}: {error}", seeds.display())) {
        let path = entry.unwrap().path();
        // Only shown if the target panics.
        println!("seed {}", path.display());
        target(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{name} has no seeds");
}

#[test]
fn every_target_is_run_here_and_has_a_folder_of_seeds() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
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
fn head_holds_for_its_seeds() {
    run("head");
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
