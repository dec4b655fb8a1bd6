//! The key index: a look-up beside inserts, which move slots, and beside removals, which swap the array.

use std::sync::Arc;

use quipu::index::{Candidates, KeyIndex};
use shuttle::thread;

use super::setup::explore;

fn found(index: &KeyIndex, key: u64) -> Vec<u64> {
    let mut out = Candidates::new();
    index.lookup(key, &mut out);
    out.to_vec()
}

/// What was inserted is found whatever is inserted and removed meanwhile.
#[test]
fn keys_are_found_beside_others() {
    explore(|| {
        let index = Arc::new(KeyIndex::new());
        for key in 0..6 {
            index.insert(key, key, &|_| false).unwrap();
        }
        let others = thread::spawn({
            let index = Arc::clone(&index);
            move || {
                for key in 100..108 {
                    index.insert(key, key, &|_| false).unwrap();
                }
                index.insert(5, 9, &|_| false).unwrap();
                assert!(index.remove(102, 102));
                assert!(index.retain(&|location| location < 100) > 0);
            }
        });
        for round in 0..3 {
            for key in 0..6 {
                assert_eq!(found(&index, key).first(), Some(&key), "{round}");
            }
        }
        others.join().unwrap();
        assert_eq!(found(&index, 5), [5, 9]);
        assert_eq!(index.len(), 7);
    });
}
