//! What a damage may do beside the loss of items, and why.

use super::case::{Case, Damage};
use super::files::{INDEX, VALUES};
use super::outcome::Fault;
use super::shape::Shape;

/// Why an answer is right though it looks wrong, or cannot be another; none where it is wrong.
pub fn explained(shape: &Shape, case: &Case, fault: Fault) -> Option<&'static str> {
    let partition = &*case.file.partition;
    let is_lost = fault == Fault::LostBeyond;
    match case.damage {
        Damage::Older { .. } if partition == INDEX && !shape.former.is_empty() && is_lost => Some(
            "behind the first entry that a rewind moved, those of an older copy cannot be told from \
             the ones that it dropped",
        ),
        Damage::Swap { .. } if partition == VALUES && is_lost => {
            Some("of another section's file nothing is believed, also where its bytes are the same")
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
