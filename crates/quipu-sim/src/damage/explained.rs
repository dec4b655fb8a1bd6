//! What a damage may do beside the loss of items, and why.

use super::case::{Case, Damage};
use super::files::{INDEX, VALUES};
use super::outcome::Fault;
use super::shape::Shape;

/// What cannot be right where other bytes stand in the place of an item's, and nothing tells.
const MISTAKEN: [Fault; 11] = [
    Fault::Former,
    Fault::NotDamaged,
    Fault::Missing,
    Fault::Presence,
    Fault::ByIndex,
    Fault::Scan,
    Fault::Phantom,
    Fault::VerifySilent,
    Fault::VerifyNamesNoFile,
    Fault::NotMended,
    Fault::NotMendedLater,
];

/// Why an answer is right though it looks wrong, or cannot be another; none where it is wrong.
pub fn explained(shape: &Shape, case: &Case, fault: Fault) -> Option<&'static str> {
    let partition = &*case.file.partition;
    let mistaken = MISTAKEN.contains(&fault);
    match case.damage {
        Damage::Older { .. } if partition == INDEX && !shape.former.is_empty() && mistaken => {
            Some("every byte of the older file is right: what a rewind dropped comes back")
        }
        Damage::Older { .. } if partition == INDEX && fault == Fault::VerifyNamesNoFile => {
            Some("every byte of the older file is right: only the marks know what it lacks")
        }
        Damage::Swap { .. } if partition == VALUES && (mistaken || fault == Fault::Wrong) => {
            Some("nothing in a value file says whose it is: values of one size are mistaken")
        }
        Damage::Zero { block: 0 } if fault == Fault::OpenChanged && is_zeroed(shape, case) => {
            Some("a file of zeros alone is a creation that was interrupted: it is made anew")
        }
        _ => None,
    }
}

/// Whether nothing but zeros is left of the file.
fn is_zeroed(shape: &Shape, case: &Case) -> bool {
    let bytes = shape.files.get(&case.file).unwrap_or_default();
    bytes.iter().skip(super::BLOCK).all(|&byte| byte == 0)
}
