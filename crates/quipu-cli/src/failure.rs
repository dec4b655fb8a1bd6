//! What a command can end with, beside success: one sentence and an exit code.

use std::io;
use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for is not there, or the index is taken.
    Absent(String),
    /// The command line is wrong.
    Usage(String),
    /// Bytes on disk are damaged.
    Damage(String),
    /// Anything else.
    Other(String),
    /// Whoever reads the output wants no more of it: no error.
    BrokenPipe,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Tells the user, and the system.
    pub(crate) fn report(self) -> ExitCode {
        let (code, sentence) = match self {
            Self::BrokenPipe => return ExitCode::SUCCESS,
            Self::Absent(sentence) => (1, sentence),
            Self::Usage(sentence) => (2, sentence),
            Self::Damage(sentence) => (3, sentence),
            Self::Other(sentence) => (4, sentence),
        };
        eprintln!("quipu: {sentence}");
        ExitCode::from(code)
    }

    /// A failure to write the output.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Other(format!("cannot write the output: {error}")),
        }
    }
}

impl From<quipu::Error> for Failure {
    fn from(error: quipu::Error) -> Self {
        use quipu::Error;
        let sentence = error.to_string();
        match error {
            Error::KeySize { expected, .. } => {
                Self::Usage(format!("{sentence}; give one of {expected} bytes"))
            }
            Error::InvalidOption { .. } | Error::InvalidName { .. } => Self::Usage(sentence),
            Error::BelowFloor { .. } => Self::Other(format!(
                "{sentence}; what is below was pruned and is not taken again"
            )),
            Error::Settings { .. } => Self::Other(format!(
                "{sentence}; leave that option out, or give the folder of another archive"
            )),
            Error::Stale { .. } => Self::Other(format!("{sentence}; run the command again")),
            Error::Manifest { .. } => Self::Damage(sentence),
            error if error.is_corruption() => Self::Damage(format!(
                "{sentence}; run `quipu verify` to see all that is damaged"
            )),
            Error::NotAnArchive { ref reason, .. } if !reason.contains("adopt") => {
                Self::Other(format!(
                    "{sentence}; give the folder of an archive, or make one with `quipu import`"
                ))
            }
            Error::Locked { .. } => {
                Self::Other(format!("{sentence}; wait until that process ends"))
            }
            _ => Self::Other(sentence),
        }
    }
}
