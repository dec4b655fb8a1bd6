// A node that lacks some items asks which, and fetches them from a peer, a few at a time.

use quipu::{Archive, Put, Reader};

type Hash = [u8; 32];

/// How many items one request to a peer asks for.
const REQUEST: usize = 16;

fn main() -> quipu::Result<()> {
    let peer: Archive<Hash> = filled("peer", 1..=1000)?;
    // Half of the history came in while the node ran, the rest while it was away.
    let mut node: Archive<Hash> = filled("node", (1..=1000).filter(|height| height % 100 < 50))?;
    let before = node.ranges().len();
    let fetched = fill(&mut node, &peer.reader())?;
    println!(
        "fetched {fetched} items, {before} runs became {:?}",
        node.ranges()
    );
    assert_eq!(node.missing_items(1, 1), [0u64; 0]);
    node.close()
}

/// Fetches what the node lacks before its last item; how many items that were.
fn fill(node: &mut Archive<Hash>, peer: &Reader<Hash>) -> quipu::Result<u64> {
    let mut fetched = 0;
    loop {
        let lacking = node.missing_items(1, REQUEST);
        if lacking.is_empty() {
            return Ok(fetched);
        }
        for height in lacking {
            let Some(item) = peer.get_item(height)? else {
                return Ok(fetched); // the peer lacks it too: ask another
            };
            fetched += u64::from(node.put(item.index, &item.key, &item.value)? == Put::Stored);
        }
        // Before the next request: what was fetched is not fetched again after a crash.
        node.sync()?;
    }
}

fn filled(folder: &str, heights: impl Iterator<Item = u64>) -> quipu::Result<Archive<Hash>> {
    let mut archive: Archive<Hash> = Archive::open(folder)?;
    for height in heights {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&height.to_be_bytes());
        let _ = archive.put(height, &hash, &format!("block {height}"))?;
    }
    archive.sync()?;
    Ok(archive)
}
