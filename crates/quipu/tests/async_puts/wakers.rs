//! Wakers are a stranger's code: when they are kept, and what they may do.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use futures_executor::block_on;
use quipu::storage::simulated::Simulated;
use quipu::{DurablePut, Put};

use super::{Shared, TASKS, open, put, share};

fn poll(put: &mut DurablePut, waker: &Waker) -> Poll<quipu::Result<Put>> {
    Pin::new(put).poll(&mut Context::from_waker(waker))
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_last_waker_alone_is_kept_and_none_of_what_was_dropped() {
    let shared = share(&Simulated::new(1));
    let (first, second) = (Arc::<Count>::default(), Arc::<Count>::default());
    let (of_first, of_second) = (Waker::from(first.clone()), Waker::from(second.clone()));
    let (mut awaited, kept) = shared.with(|_| {
        let (mut awaited, mut dropped) = (put(&shared, 0), put(&shared, 1));
        for (waker, count) in [(&of_first, &first), (&of_second, &second)] {
            assert!(poll(&mut awaited, waker).is_pending());
            assert!(poll(&mut dropped, waker).is_pending());
            // This one, the one here, and those of the two puts.
            assert_eq!(Arc::strong_count(count), 4);
        }
        assert_eq!(Arc::strong_count(&first), 2);
        drop(dropped);
        (awaited, Arc::strong_count(&second))
    });
    assert_eq!(kept, 3);
    // Which is asked for behind it is told behind it, or with it.
    assert_eq!(block_on(put(&shared, 2)).unwrap(), Put::Stored);
    assert!(matches!(poll(&mut awaited, &of_first), Poll::Ready(Ok(_))));
    drop(awaited);
    drop(shared);
    let woken = |count: &Count| count.0.load(Ordering::Relaxed);
    assert_eq!((woken(&first), woken(&second)), (0, 1));
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("the waker");
    }
}

#[test]
fn a_waker_that_panics_leaves_no_other_task_asleep() {
    let shared = share(&Simulated::new(1));
    let waker = Waker::from(Arc::new(Panics));
    let puts: Vec<_> = shared.with(|_| {
        let polled = (0..TASKS).map(|index| {
            let mut put = put(&shared, index);
            if index % 2 == 0 {
                assert!(poll(&mut put, &waker).is_pending());
            }
            put
        });
        polled.collect()
    });
    for put in puts {
        assert_eq!(block_on(put).unwrap(), Put::Stored);
    }
    assert_eq!(block_on(put(&shared, 99)).unwrap(), Put::Stored);
}

/// What a task has that goes with its waker.
struct Has<T>(Mutex<Option<T>>, mpsc::Sender<()>);

impl<T: Send> Wake for Has<T> {
    fn wake(self: Arc<Self>) {}
}

impl<T> Drop for Has<T> {
    fn drop(&mut self) {
        drop(self.0.lock().unwrap().take());
        let _ = self.1.send(());
    }
}

/// A task that goes with its waker, and has puts of the same batch.
#[test]
fn a_waker_may_drop_other_puts() {
    let shared = share(&Simulated::new(1));
    let (gone, went) = mpsc::channel();
    shared.with(|_| {
        for index in 0..3 * TASKS {
            let (mut awaited, other) = (put(&shared, 2 * index), put(&shared, 2 * index + 1));
            let waker = Waker::from(Arc::new(Has(Mutex::new(Some(other)), gone.clone())));
            assert!(poll(&mut awaited, &waker).is_pending());
            drop(waker);
            match index % 3 {
                // The put has the last one, which goes with it,
                0 => drop(awaited),
                // with the next one,
                1 => drop(poll(&mut awaited, Waker::noop())),
                // or when it is woken.
                _ => std::mem::forget(awaited),
            }
        }
    });
    for _ in 0..3 * TASKS {
        went.recv().unwrap();
    }
    assert_eq!(block_on(put(&shared, 999)).unwrap(), Put::Stored);
}

/// The thread that wakes is the one that is waited for when the sharing ends.
#[test]
fn a_waker_may_be_the_last_to_share() {
    let machine = Simulated::new(1);
    let shared = share(&machine);
    let (gone, went) = mpsc::channel();
    let panics = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&panics);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        let ours = text.contains("join");
        count.fetch_add(usize::from(ours), Ordering::Relaxed);
        hook(panic);
    }));
    let held: Arc<Shared> = Arc::clone(&shared);
    let mut waits = shared.with(|_| {
        let mut waits = put(&shared, 0);
        let waker = Waker::from(Arc::new(Has(Mutex::new(Some(held)), gone)));
        assert!(poll(&mut waits, &waker).is_pending());
        waits
    });
    drop(shared);
    went.recv().unwrap();
    assert!(matches!(
        poll(&mut waits, Waker::noop()),
        Poll::Ready(Ok(Put::Stored))
    ));
    // The archive goes with the thread, which nobody waits for here.
    while machine_is_locked(&machine) {
        std::thread::yield_now();
    }
    assert_eq!(open(&machine).ranges(), [0..=0]);
    assert_eq!(panics.load(Ordering::Relaxed), 0);
}

fn machine_is_locked(machine: &Simulated) -> bool {
    let options = quipu::Options::new();
    let opened = options.open_on::<[u8; 8], quipu::Bytes>(Arc::new(machine.clone()));
    matches!(opened, Err(quipu::Error::Locked { .. }))
}
