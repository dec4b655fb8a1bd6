//! What maps of the standard library take, which they do not tell.

/// Entries that a node has room for, and about how many it has in a map that grew at its end.
const NODE_ENTRIES: usize = 11;
const USUAL_ENTRIES: usize = 6;
/// Bytes of a node beside its entries, and of the children's places in one that has children.
const NODE_BYTES: usize = 16;
const CHILDREN_BYTES: usize = (NODE_ENTRIES + 1) * size_of::<usize>();

/// Bytes of a `BTreeMap` with so many entries, but for its own. About right where they came in order, as
/// indices mostly do; of a map that was filled in random order it is a fifth too much.
pub(crate) fn of_map<K, V>(len: usize) -> usize {
    let node = NODE_ENTRIES * (size_of::<K>() + size_of::<V>()) + NODE_BYTES;
    if len <= NODE_ENTRIES {
        return if len == 0 { 0 } else { node };
    }
    let leaves = len / (USUAL_ENTRIES + 1) + 1;
    let inner = leaves / USUAL_ENTRIES + 1;
    leaves * node + inner * (node + CHILDREN_BYTES)
}
