//! The fuzzers of quipu.
//!
//! A target takes any bytes as a tape of choices (see [`Input`]) and panics where quipu does not
//! keep a promise: no file and no input makes it panic, loop, or take more memory than
//! [`limit`] allows, and no read returns what was not put.
//!
//! The same targets are run in two ways: by libFuzzer (`fuzz/run.sh`), which is led by coverage,
//! and as plain tests over the corpus and pseudo-random inputs (`fuzz/smoke.sh`), which need
//! nothing but stable Rust and a C compiler.

mod canary;
mod exercise;
mod files;
mod input;
pub mod limit;
pub mod plain;
mod section;
mod shapes;
mod table;
mod tabled;
mod targets;

pub use canary::switch_canaries_on;
pub use input::Input;

/// What is fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Section files of an archive whose manifest is whole.
    SectionFiles,
    /// The manifest and the marks of an archive whose section files are whole.
    Manifest,
    /// Key tables of an archive whose other files are whole.
    KeyTables,
    /// Folders without a manifest, and the options to adopt them with.
    Adopt,
    /// Value codecs, compressed values, translators, headers, names.
    Codecs,
    /// Operations of an archive beside crashes and faults, against a model.
    Operations,
    /// The program's arguments, and what it imports.
    Program,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SectionFiles,
        Self::Manifest,
        Self::KeyTables,
        Self::Adopt,
        Self::Codecs,
        Self::Operations,
        Self::Program,
    ];

    /// Its name, which is also that of its corpus.
    pub fn name(self) -> &'static str {
        match self {
            Self::SectionFiles => "section_files",
            Self::Manifest => "manifest",
            Self::KeyTables => "key_tables",
            Self::Adopt => "adopt",
            Self::Codecs => "codecs",
            Self::Operations => "operations",
            Self::Program => "program",
        }
    }
}

/// Runs a target over one input; panics where a promise is broken.
pub fn run(target: Target, data: &[u8]) {
    let input = &mut Input::new(data);
    match target {
        Target::SectionFiles => targets::section_files::run(input),
        Target::Manifest => targets::manifest::run(input),
        Target::KeyTables => targets::key_tables::run(input),
        Target::Adopt => targets::adopt::run(input),
        Target::Codecs => targets::codecs::run(input),
        Target::Operations => targets::operations::run(input),
        Target::Program => targets::program::run(input),
    }
}
