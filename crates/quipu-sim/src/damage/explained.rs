//! What a damage may do beside the loss of items, and why.

use super::case::{Case, Damage};
use super::files::{INDEX, VALUES};
use super::outcome::Fault;
use super::shape::Shape;

/// Why an answer is right though it looks wrong; none where it is wrong.
pub fn explained(shape: &Shape, case: &Case, fault: Fault) -> Option<&'static str> {
    let is_index = *case.file.partition == *INDEX;
    let older = matches!(case.damage, Damage::Older { .. });
    if older && is_index && fault == Fault::Former && !shape.former.is_empty() {
        return Some("every page of the older file is right: entries dropped since come back");
    }
    if older && is_index && fault == Fault::VerifyNamesNoFile {
        return Some("every page of the older file is right: only the marks know what it lacks");
    }
    let bytes = shape.files.get(&case.file).unwrap_or_default();
    let all_zeroed =
        matches!(case.damage, Damage::Zero { block: 0 }) && bytes.len() <= super::BLOCK;
    if all_zeroed && *case.file.partition == *VALUES && fault == Fault::OpenChanged {
        return Some("a file of zeros is a creation that was interrupted: it is made anew");
    }
    None
}
