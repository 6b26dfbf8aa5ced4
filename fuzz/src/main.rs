//! The program that libFuzzer runs. The environment variable `PETSTREAM_FUZZ` selects the target.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use petstream_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("PETSTREAM_FUZZ").unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == name);
    *found.unwrap_or_else(|| {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        panic!("PETSTREAM_FUZZ must name a target: {}", names.join(", "))
    })
});

fuzz_target!(|data: &[u8]| (TARGET.run)(data));
