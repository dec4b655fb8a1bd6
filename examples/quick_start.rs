// Put, sync, read by index and by key, ask for gaps, prune.

use quipu::Archive;

fn main() -> quipu::Result<()> {
    let mut blocks: Archive<[u8; 32]> = Archive::open("blocks")?;
    for height in (1..=10).chain(21..=30) {
        let _ = blocks.put(height, &hash(height), &format!("block {height}"))?;
    }
    blocks.sync()?; // durable from here on

    let reader = blocks.reader(); // Clone + Send + Sync, reads beside the writer
    assert_eq!(reader.get(25)?.unwrap(), "block 25"); // by index
    assert_eq!(reader.get(&hash(25))?.unwrap(), "block 25"); // by key: the same call
    assert_eq!(reader.missing_items(5, 3), [11, 12, 13]); // fetch these from a peer, put them
    for item in reader.range(8..23) {
        let item = item?;
        println!("{} {:02x?} {:?}", item.index, &item.key[..4], item.value);
    }

    blocks.prune(21)?; // deletes the files of whole sections below 21 (65,536 items each, or as set)
    blocks.close()
}

/// Stands in for a hash of the block.
fn hash(height: u64) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&height.to_le_bytes());
    hash
}
