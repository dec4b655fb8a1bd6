use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;

use super::super::guard::Guard;
use super::super::map::Map;
use super::super::tests::{assert_goes_on, run};
use super::*;

#[track_caller]
fn goes_on(test: &str) {
    assert_goes_on(&format!("handler::tests::{test}"));
}

/// What is done about the signal from now on.
pub(in super::super) fn set_action(handler: libc::sighandler_t, flags: libc::c_int) {
    let mut action = default();
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    assert!(change(&action).is_some());
}

/// Blocks the signal in this thread.
pub(in super::super) fn block() {
    // SAFETY: all zeros are a set, and the pointers are good.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGBUS);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut());
    }
}

pub(in super::super) fn is_blocked(signal: libc::c_int) -> bool {
    // SAFETY: all zeros are a set, and the pointers are good.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut set);
        libc::sigismember(&set, signal) == 1
    }
}

pub(in super::super) fn send() {
    // SAFETY: no memory is handed over.
    unsafe { libc::raise(libc::SIGBUS) };
}

/// A file that is read through a map.
pub(in super::super) fn mapped() -> (File, Map) {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 16).unwrap();
    let map = Map::new(&file, 0, 1 << 16).unwrap();
    assert!(reads(&map));
    (file, map)
}

pub(in super::super) fn reads(map: &Map) -> bool {
    map.append_to(&mut Vec::with_capacity(100), 50_000, 100)
}

/// The file loses the page that is read through the map.
pub(in super::super) fn cut(file: &File, map: &Map) {
    file.set_len(10).unwrap();
    assert!(!reads(map));
}

/// A page of a map that is not one of ours, behind the end of its file.
pub(in super::super) fn not_there() -> *mut u8 {
    let file = tempfile::tempfile().unwrap();
    let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a new map at an address that the system chooses.
    unsafe { libc::mmap(ptr::null_mut(), 4096, read, shared, file.as_raw_fd(), 0) }.cast()
}

pub(in super::super) fn read_what_is_not_there() {
    // SAFETY: what is read is a page that the system cannot give.
    let byte = unsafe { not_there().read_volatile() };
    panic!("read {byte}");
}

/// How the process ended that a fork is for `work`, which panics nowhere.
pub(in super::super) fn in_fork(work: impl FnOnce()) -> std::process::ExitStatus {
    let mut status = 0;
    // SAFETY: the child does `work` and ends, and the pointer is good.
    unsafe {
        match libc::fork() {
            0 => {
                work();
                libc::_exit(0);
            }
            child => assert_eq!(libc::waitpid(child, &mut status, 0), child),
        }
    }
    std::process::ExitStatus::from_raw(status)
}

// Those that are ignored run as children of those behind them, since what is done about a signal is the process's.

#[test]
#[ignore = "ends the process"]
fn reads_what_is_not_there_in_another_map() {
    drop(Guard::take().unwrap());
    read_what_is_not_there();
}

/// Other maps of the process are as dangerous as without ours: no error of theirs is hidden.
#[test]
fn signals_of_other_maps_end_the_process() {
    let child = run("handler::tests::reads_what_is_not_there_in_another_map");
    assert_eq!(child.status.signal(), Some(libc::SIGBUS), "{child:?}");
}

#[test]
#[ignore = "may end the process"]
fn reads_a_cut_file_with_the_signal_blocked() {
    let (file, map) = mapped();
    let thread = std::thread::spawn(move || {
        block();
        assert!(!reads(&map), "not a call");
        cut(&file, &map);
        assert!(is_blocked(libc::SIGBUS), "the mask is the host's");
        // Nor is anything read through it there later.
        file.set_len(1 << 16).unwrap();
        assert!(!reads(&map));
        map
    });
    assert!(reads(&thread.join().unwrap()), "other threads do");
}

#[test]
fn a_thread_that_blocks_the_signal_reads_with_calls() {
    goes_on("reads_a_cut_file_with_the_signal_blocked");
}

#[test]
#[ignore = "may end the process"]
fn reads_a_cut_file_in_a_fork() {
    let (file, map) = mapped();
    let code = in_fork(|| {
        file.set_len(10).unwrap();
        let code = i32::from(reads(&map));
        // SAFETY: ends the fork.
        unsafe { libc::_exit(code) };
    });
    assert_eq!(code.code(), Some(0));
    // The zeros are the fork's alone.
    file.set_len(1 << 16).unwrap();
    assert!(reads(&map));
    cut(&file, &map);
}

#[test]
fn a_fork_reads_what_its_parent_has_mapped() {
    goes_on("reads_a_cut_file_in_a_fork");
}

#[test]
#[ignore = "is sent a signal"]
fn is_sent_the_address_of_a_map() {
    let (_file, map) = mapped();
    // SAFETY: all zeros are a good value; the address stands 16 bytes behind the begin on 64 bits, and the thread
    // sends it to itself.
    let sent = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        info.si_signo = libc::SIGBUS;
        info.si_code = libc::SI_QUEUE;
        ptr::from_mut(&mut info)
            .cast::<usize>()
            .add(2)
            .write(map.address(0).unwrap());
        assert_eq!(info.si_addr().addr(), map.address(0).unwrap());
        let (call, signal) = (libc::SYS_rt_tgsigqueueinfo, libc::SIGBUS);
        libc::syscall(call, libc::getpid(), libc::gettid(), signal, &info)
    };
    assert_eq!(sent, 0);
    assert!(reads(&map));
}

/// Who sends a signal may say anything in the place of an address.
#[test]
fn no_signal_that_is_sent_takes_a_map_away() {
    goes_on("is_sent_the_address_of_a_map");
}
