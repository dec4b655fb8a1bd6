//! What waits when the sharing ends, and what is dropped before.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_executor::block_on;
use quipu::storage::simulated::{Simulated, Survival};
use quipu::{DurablePut, GroupCommit, Put};

use super::{open, put};

/// More than a flush of them can keep up with.
const WAITING: u64 = 500;

/// What it has come to already.
fn now(put: DurablePut) -> Poll<quipu::Result<Put>> {
    pin!(put).poll(&mut Context::from_waker(Waker::noop()))
}

fn assert_all_stored(puts: Vec<DurablePut>) {
    for put in puts {
        assert!(matches!(now(put), Poll::Ready(Ok(Put::Stored))));
    }
}

#[test]
fn what_waits_is_put_before_the_archive_is_given_back() {
    let machine = Simulated::new(1);
    let shared = GroupCommit::new(open(&machine));
    let puts: Vec<_> = (0..WAITING).map(|index| put(&shared, index)).collect();
    let archive = shared.into_inner();
    let left = open(&machine.after_crash(Survival::Nothing, 1));
    assert_eq!(left.ranges(), [0..=WAITING - 1]);
    assert_eq!(archive.ranges(), left.ranges());
    drop(archive);
    assert_all_stored(puts);
}

#[test]
fn what_waits_is_put_before_the_archive_is_dropped() {
    let machine = Simulated::new(1);
    let shared = GroupCommit::new(open(&machine));
    let puts: Vec<_> = (0..WAITING).map(|index| put(&shared, index)).collect();
    drop(shared);
    // It has let go of the archive, too.
    assert_eq!(open(&machine).ranges(), [0..=WAITING - 1]);
    assert_all_stored(puts);
}

/// Nobody is told, and that is all.
#[test]
fn what_is_not_awaited_is_put_all_the_same() {
    let machine = Simulated::new(1);
    let shared = GroupCommit::new(open(&machine));
    for index in 0..WAITING {
        let put = put(&shared, index);
        if index % 3 == 0 {
            let _ = now(put);
        }
    }
    drop(shared);
    assert_eq!(open(&machine).ranges(), [0..=WAITING - 1]);
}

#[test]
fn nothing_is_told_twice() {
    let machine = Simulated::new(1);
    let shared = Arc::new(GroupCommit::new(open(&machine)));
    let mut put = put(&shared, 0);
    assert_eq!(block_on(&mut put).unwrap(), Put::Stored);
    assert!(now(put).is_pending());
}
