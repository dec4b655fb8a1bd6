// A node that keeps the last items only: append and prune in step, and the disk stays flat.

use quipu::{Archive, Error, Options};

/// How many items are kept at the least.
const WINDOW: u64 = 10_000;

fn main() -> quipu::Result<()> {
    // The section is the unit of pruning: the smaller, the closer the disk follows the window.
    let options = Options::new().items_per_section(1000);
    let mut events: Archive<[u8; 8]> = options.open("events")?;
    let start = events.last_index().map_or(0, |last| last + 1);
    for index in start..start + 50_000 {
        let _ = events.put(index, &index.to_be_bytes(), &[0x5a; 100])?;
        if index % 1000 == 999 {
            events.sync()?;
            events.prune(index.saturating_sub(WINDOW))?;
        }
    }
    let stats = events.stats();
    println!(
        "{} items from {} on, {} sections, {} bytes of values",
        stats.items_tracked,
        events.floor(),
        stats.sections,
        stats.disk_values
    );
    assert!(stats.sections <= WINDOW / 1000 + 2);

    // What is pruned is gone for good, also after a restart.
    let pruned = events.floor() - 1;
    assert!(matches!(
        events.put(pruned, &[0; 8], "late"),
        Err(Error::BelowFloor { .. })
    ));
    events.close()
}
