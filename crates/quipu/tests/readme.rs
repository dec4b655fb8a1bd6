//! The README's program is the example `quick_start`, and the examples run.

use std::fs;
use std::path::Path;

/// An example as a module, with its `main` to be called.
macro_rules! example {
    ($name:ident, $path:literal) => {
        mod $name {
            include!($path);

            pub(crate) fn run() {
                main().unwrap();
            }
        }
    };
}

example!(quick_start, "../../../examples/quick_start.rs");
example!(fill_gaps, "../../../examples/fill_gaps.rs");
example!(prune_as_you_go, "../../../examples/prune_as_you_go.rs");

#[test]
fn the_readme_shows_the_quick_start() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let program = fs::read_to_string(root.join("examples/quick_start.rs")).unwrap();
    let shown = readme
        .split("```rust\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(program.as_str()));
    let line_of = |text: &str| readme.lines().position(|line| line.contains(text)).unwrap();
    assert!(
        line_of("blocks.prune(21)") < 35,
        "the first screen shows all of it"
    );
}

#[test]
fn the_examples_run_and_run_again() {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    for _ in 0..2 {
        quick_start::run();
        fill_gaps::run();
        prune_as_you_go::run();
    }
}
