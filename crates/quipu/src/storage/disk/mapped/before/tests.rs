use std::os::unix::process::ExitStatusExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32};
use std::time::Duration;

use super::super::handler::tests::*;
use super::super::handler::{change, current, default};
use super::super::map::Map;
use super::super::tests::assert_goes_on;
use super::*;

#[track_caller]
fn goes_on(test: &str) {
    assert_goes_on(&format!("before::tests::{test}"));
}

// Those that are ignored run as children of those behind them, since what is done about a signal is the process's.

#[test]
#[ignore = "may end the process"]
fn is_sent_a_signal_and_reads_a_cut_file() {
    let (file, map) = mapped();
    send();
    cut(&file, &map);
    // And maps are made as before.
    let (file, map) = mapped();
    cut(&file, &map);
}

/// The handler of the standard library goes from its place with the first signal; ours does not.
#[test]
fn maps_are_guarded_behind_a_signal_that_was_sent() {
    goes_on("is_sent_a_signal_and_reads_a_cut_file");
}

#[test]
#[ignore = "changes what is done about a signal"]
fn is_sent_two_signals() {
    let _mapped = mapped();
    send();
    assert_eq!(in_fork(send).signal(), Some(libc::SIGBUS));
}

/// As without ours: what the first one leaves is the default.
#[test]
fn a_second_signal_that_is_sent_ends_the_process() {
    goes_on("is_sent_two_signals");
}

/// All ways to send one to the process itself.
const SENDERS: [fn(); 4] = [send, by_kill, by_pthread_kill, by_sigqueue];

fn by_kill() {
    // SAFETY: no memory is handed over.
    assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGBUS) }, 0);
}

fn by_pthread_kill() {
    // SAFETY: the thread is this one.
    let sent = unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGBUS) };
    assert_eq!(sent, 0);
}

fn by_sigqueue() {
    // SAFETY: no memory is handed over, nor looked for where the value says.
    let sent = unsafe { libc::sigqueue(libc::getpid(), libc::SIGBUS, value()) };
    assert_eq!(sent, 0);
}

fn value() -> libc::sigval {
    libc::sigval {
        sival_ptr: ptr::without_provenance_mut(77),
    }
}

#[test]
#[ignore = "changes what is done about a signal"]
fn is_sent_signals_by_default() {
    set_action(libc::SIG_DFL, 0);
    let (file, map) = mapped();
    for sender in SENDERS {
        let ended = in_fork(sender);
        assert_eq!(ended.signal(), Some(libc::SIGBUS));
    }
    cut(&file, &map);
}

#[test]
fn a_signal_that_is_sent_ends_the_process_by_default() {
    goes_on("is_sent_signals_by_default");
}

#[test]
#[ignore = "changes what is done about a signal"]
fn ignores_a_signal() {
    set_action(libc::SIG_IGN, 0);
    let (file, map) = mapped();
    for sender in SENDERS {
        sender();
    }
    assert_eq!(interrupted_read(), 1);
    cut(&file, &map);
    let ended = in_fork(read_what_is_not_there);
    assert_eq!(ended.signal(), Some(libc::SIGBUS));
}

/// What a read of one byte returns which waits for it when a signal is sent to its thread.
fn interrupted_read() -> isize {
    let mut ends = [0; 2];
    // SAFETY: the pointer is good.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: no memory is handed over.
    let reader = unsafe { libc::pthread_self() };
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        // SAFETY: the thread waits for the byte.
        unsafe { libc::pthread_kill(reader, libc::SIGBUS) };
        std::thread::sleep(Duration::from_millis(200));
        // SAFETY: a byte is there.
        unsafe { libc::write(ends[1], [1_u8].as_ptr().cast(), 1) };
    });
    // SAFETY: there is room for a byte.
    let read = unsafe { libc::read(ends[0], [0_u8].as_mut_ptr().cast(), 1) };
    sender.join().unwrap();
    read
}

#[test]
fn a_signal_that_is_sent_is_ignored_where_it_was_before() {
    goes_on("ignores_a_signal");
}

static CALLS: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static TOLD: AtomicUsize = AtomicUsize::new(0);
/// Of the mask: 1 for SIGBUS, 2 for SIGUSR1.
static MASK: AtomicI32 = AtomicI32::new(0);

fn note() {
    let mask = i32::from(is_blocked(libc::SIGBUS)) + 2 * i32::from(is_blocked(libc::SIGUSR1));
    MASK.store(mask, Ordering::SeqCst);
    CALLS.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn notes(signal: libc::c_int) {
    assert_eq!(signal, libc::SIGBUS);
    note();
}

fn plain() -> libc::sighandler_t {
    notes as extern "C" fn(libc::c_int) as usize
}

extern "C" fn notes_all(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system hands over a good pointer.
    unsafe {
        CODE.store((*info).si_code, Ordering::SeqCst);
        TOLD.store((*info).si_value().sival_ptr.addr(), Ordering::SeqCst);
    }
    assert!(!context.is_null());
    note();
}

/// Puts a page where one is missing.
extern "C" fn mends(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the page is one of `not_there`.
    unsafe { libc::mmap((*info).si_addr(), 4096, libc::PROT_READ, flags, -1, 0) };
    note();
}

type WithInfo = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn calls() -> i32 {
    CALLS.swap(0, Ordering::SeqCst)
}

#[test]
#[ignore = "changes what is done about a signal"]
fn has_a_handler() {
    set_action(plain(), 0);
    let (file, map) = mapped();
    for sender in SENDERS {
        let ended = in_fork(|| {
            sender();
            // SAFETY: ends the fork.
            unsafe { libc::_exit(calls()) };
        });
        assert_eq!(ended.code(), Some(1));
    }
    send();
    assert_eq!((calls(), MASK.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(interrupted_read(), -1, "no SA_RESTART");
    assert_eq!(calls(), 1);
    cut(&file, &map);
    assert_eq!(calls(), 0, "of our maps it is not told");
}

#[test]
#[ignore = "changes what is done about a signal"]
fn has_a_handler_with_all_that_can_be_asked_for() {
    let mut action = default();
    action.sa_sigaction = notes_all as WithInfo as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_RESTART;
    // SAFETY: all zeros are a set.
    unsafe { libc::sigaddset(&mut action.sa_mask, libc::SIGUSR1) };
    change(&action);
    let (file, map) = mapped();
    by_sigqueue();
    while CALLS.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(CODE.load(Ordering::SeqCst), libc::SI_QUEUE);
    assert_eq!(TOLD.load(Ordering::SeqCst), 77);
    assert_eq!(MASK.load(Ordering::SeqCst), 2, "SIGUSR1 alone");
    assert_eq!(interrupted_read(), 1);
    cut(&file, &map);
    assert_eq!(calls(), 2);
}

#[test]
#[ignore = "changes what is done about a signal"]
fn has_a_handler_that_mends() {
    set_action(mends as WithInfo as usize, libc::SA_SIGINFO);
    let (file, map) = mapped();
    // SAFETY: the handler puts a page there.
    assert_eq!(unsafe { not_there().read_volatile() }, 0);
    assert_eq!(calls(), 1);
    cut(&file, &map);
    assert_eq!(calls(), 0);
}

/// Whoever was asked before the maps came is asked as if they were not there.
#[test]
fn a_handler_is_called_as_without_maps() {
    goes_on("has_a_handler");
    goes_on("has_a_handler_with_all_that_can_be_asked_for");
    goes_on("has_a_handler_that_mends");
}

#[test]
#[ignore = "changes what is done about a signal"]
fn has_a_handler_for_one_signal() {
    set_action(plain(), libc::SA_RESETHAND);
    let (file, map) = mapped();
    // SAFETY: it ends a process that would read again and again, by another signal.
    let read = in_fork(|| unsafe {
        libc::alarm(10);
        read_what_is_not_there();
    });
    assert_eq!(read.signal(), Some(libc::SIGBUS));
    send();
    assert_eq!(calls(), 1);
    cut(&file, &map);
    assert_eq!(in_fork(send).signal(), Some(libc::SIGBUS));
}

#[test]
fn a_handler_for_one_signal_is_called_once() {
    goes_on("has_a_handler_for_one_signal");
}

static OURS: OnceLock<libc::sigaction> = OnceLock::new();

extern "C" fn hands_on(
    number: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    note();
    let before = OURS.get().unwrap();
    let signal = Signal {
        number,
        info,
        context,
        is_of_a_read: false,
    };
    call(before.sa_sigaction, before.sa_flags, signal);
}

#[test]
#[ignore = "changes what is done about a signal"]
fn installs_a_handler_later() {
    let (file, map) = mapped();
    OURS.set(current().unwrap()).unwrap();
    set_action(hands_on as WithInfo as usize, libc::SA_SIGINFO);
    cut(&file, &map);
    assert_eq!(calls(), 1);
    assert!(
        Map::new(&file, 0, 1 << 16).is_none(),
        "no map is made any more"
    );
    // As in `is_sent_two_signals`.
    send();
    assert_eq!(in_fork(send).signal(), Some(libc::SIGBUS));
    let ended = in_fork(read_what_is_not_there);
    assert_eq!(ended.signal(), Some(libc::SIGBUS));
}

/// One that hands on to ours serves the maps that there are, and ours does what it would.
#[test]
fn a_handler_that_is_installed_later() {
    goes_on("installs_a_handler_later");
}

static MAY_END: AtomicBool = AtomicBool::new(false);

#[test]
#[ignore = "changes what is done about a signal"]
fn is_sent_signals_while_maps_come_and_are_cut() {
    set_action(plain(), 0);
    // SAFETY: no memory is handed over.
    let process = unsafe { libc::getpid() };
    let sender = std::thread::spawn(move || {
        while !MAY_END.load(Ordering::SeqCst) {
            // SAFETY: as above.
            unsafe { libc::kill(process, libc::SIGBUS) };
        }
    });
    let reader = || {
        for _ in 0..2000 {
            let (file, map) = mapped();
            cut(&file, &map);
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(reader);
        }
    });
    MAY_END.store(true, Ordering::SeqCst);
    sender.join().unwrap();
    assert!(calls() > 0);
}

/// From the first map on the handler before is called, also while ours is being installed.
#[test]
fn signals_that_are_sent_meanwhile() {
    for _ in 0..5 {
        goes_on("is_sent_signals_while_maps_come_and_are_cut");
    }
}
