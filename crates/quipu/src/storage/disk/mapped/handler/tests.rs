use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;

use super::super::guard::Guard;
use super::super::map::Map;
use super::super::tests::{assert_goes_on, run};
use super::*;

/// Only as the child of the test below: reads a page behind the end of a file in a map that is not
/// one of ours.
#[test]
#[ignore = "ends the process"]
fn reads_what_is_not_there_in_another_map() {
    drop(Guard::take().unwrap());
    let file = tempfile::tempfile().unwrap();
    // SAFETY: a new map; what is read of it is a page that the system cannot give.
    let byte = unsafe {
        let at = libc::mmap(
            ptr::null_mut(),
            4096,
            libc::PROT_READ,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        at.cast::<u8>().read_volatile()
    };
    panic!("read {byte}");
}

/// Other maps of the process are as dangerous as without ours: no error of theirs is hidden.
#[test]
fn signals_of_other_maps_end_the_process() {
    let child = run("handler::tests::reads_what_is_not_there_in_another_map");
    assert_eq!(child.status.signal(), Some(libc::SIGBUS), "{child:?}");
}

/// A map of a file, which is then cut.
fn map_of_a_file_that_is_cut() -> (File, Map) {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 16).unwrap();
    let map = Map::new(&file, 0, 1 << 16).unwrap();
    assert!(map.append_to(&mut Vec::with_capacity(100), 50_000, 100));
    file.set_len(10).unwrap();
    (file, map)
}

/// Only as the child of the test below.
#[test]
#[ignore = "may end the process"]
fn reads_a_cut_file_with_signals_blocked() {
    let (file, map) = map_of_a_file_that_is_cut();
    let blocked = std::thread::spawn(move || {
        // SAFETY: both pointers are good, and the first call fills the set.
        unsafe {
            let mut all = MaybeUninit::uninit();
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut());
        }
        let read = map.append_to(&mut Vec::with_capacity(100), 50_000, 100);
        file.set_len(1 << 16).unwrap();
        // Nor is anything else read through it there.
        read || map.append_to(&mut Vec::with_capacity(100), 0, 100)
    });
    assert!(!blocked.join().unwrap());
}

/// Only as the child of the test below.
#[test]
#[ignore = "may end the process"]
fn reads_a_cut_file_behind_a_signal_that_was_sent() {
    drop(Guard::take().unwrap());
    // SAFETY: the handler of the standard library, which takes it, lets the process go on.
    unsafe { libc::raise(libc::SIGBUS) };
    let (_file, map) = map_of_a_file_that_is_cut();
    // SAFETY: as above.
    unsafe { libc::raise(libc::SIGBUS) };
    assert!(!map.append_to(&mut Vec::with_capacity(100), 50_000, 100));
}

/// Only as the child of the test below: who sends a signal may say anything in the place of an address.
#[test]
#[ignore = "is sent a signal"]
fn is_sent_a_signal_with_the_address_of_a_map() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 16).unwrap();
    let map = Map::new(&file, 0, 1 << 16).unwrap();
    let address = map.start();
    // SAFETY: all zeros are a good value; the address stands 16 bytes behind the begin on 64 bits, and the thread
    // sends it to itself.
    let sent = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        info.si_signo = libc::SIGBUS;
        info.si_code = libc::SI_QUEUE;
        ptr::from_mut(&mut info)
            .cast::<usize>()
            .add(2)
            .write(address);
        assert_eq!(info.si_addr().addr(), address);
        let (call, signal) = (libc::SYS_rt_tgsigqueueinfo, libc::SIGBUS);
        libc::syscall(call, libc::getpid(), libc::gettid(), signal, &info)
    };
    assert_eq!(sent, 0);
    assert!(map.append_to(&mut Vec::with_capacity(100), 0, 100));
}

#[test]
fn a_page_that_is_gone_ends_no_process_whatever_becomes_of_the_signal() {
    for test in [
        "reads_a_cut_file_with_signals_blocked",
        "reads_a_cut_file_behind_a_signal_that_was_sent",
        "is_sent_a_signal_with_the_address_of_a_map",
    ] {
        assert_goes_on(&format!("handler::tests::{test}"));
    }
}
