//! What keeps a page that cannot be read from ending the process.
//!
//! Where the system cannot give a page of a map - the disk failed, or the file was cut - it sends SIGBUS
//! to the thread that asked for it, and that ends a process which does not handle it. So the first map
//! installs a handler. For an address in one of our maps it notes that the map has failed, then puts
//! zeros in the place of the whole map, and the thread goes on; whoever copies out of the map looks
//! afterwards whether it has failed, and lets go of what it copied. For any other address it does what
//! would have been done without it: it calls the handler that was there before, or lets the signal end
//! the process.
//!
//! The method is that of EFL's `eina_mmap_safety_enabled_set`, which replaces page by page.
//!
//! # Invariants
//!
//! - The handler takes no lock and no memory: it reads and writes atomics of a static table, and makes
//!   one system call.
//! - Maps that are watched do not overlap, and each is mapped while it is watched.
//! - Where a map begins and how long it is are one word, so that the handler never takes the length of one for
//!   that of another which had the place before.
//! - A failed map stays failed: nothing is read from it again.
//! - A thread that blocks the signal reads nothing through a map: there it would end the process, handler or not.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
// Always of the standard library: a signal comes in no order that a test chooses.
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// The most maps of a process, a quarter of those that Linux lets it have; more files are read with calls.
pub(super) const MAX_MAPS: usize = 16_384;

/// One map, for the handler.
struct Watched {
    taken: AtomicBool,
    /// Where the map lies, see [`pack`]; 0: none is watched.
    range: AtomicUsize,
    failed: AtomicBool,
}

static WATCHED: [Watched; MAX_MAPS] = [const {
    Watched {
        taken: AtomicBool::new(false),
        range: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
    }
}; MAX_MAPS];

/// Where to look for a free place first.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// What was done about the signal before; none where ours could not be installed.
static BEFORE: OnceLock<Option<libc::sigaction>> = OnceLock::new();

std::thread_local! {
    /// Whether the signal reaches this thread, once that was asked.
    static REACHED: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Whether a page that cannot be read may be asked for in this thread: it does not block the signal, or did not when
/// it was asked for the first time.
#[inline]
pub(super) fn catches_here() -> bool {
    REACHED.get().unwrap_or_else(look_at_mask)
}

#[cold]
fn look_at_mask() -> bool {
    let mut blocked = MaybeUninit::uninit();
    // SAFETY: nothing is changed, and the pointer is good; a call that succeeds has filled the set.
    let reached = unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), blocked.as_mut_ptr()) == 0
            && libc::sigismember(blocked.as_ptr(), libc::SIGBUS) == 0
    };
    REACHED.set(Some(reached));
    reached
}

/// A place in the table of maps.
#[derive(Debug)]
pub(super) struct Guard(&'static Watched);

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched")
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// The bits of a begin that are zero, since it is that of a page.
const FREE_BITS: u32 = 12;
/// Of these, the lower ones tell by how many bits a length is shifted, the others what is shifted.
const SHIFT_BITS: u32 = 6;

/// Begin and length of a map in one word: the begin, and in the bits that are zero in it the length, `n << shift`
/// with `n` below 64. None where that cannot be.
fn pack(start: usize, len: usize) -> Option<usize> {
    let shift = len.trailing_zeros();
    let n = len.checked_shr(shift)?;
    let fits = n < 1 << (FREE_BITS - SHIFT_BITS) && start.is_multiple_of(1 << FREE_BITS);
    fits.then_some(start | n << SHIFT_BITS | shift as usize)
}

fn unpack(range: usize) -> (usize, usize) {
    let n = (range % (1 << FREE_BITS)) >> SHIFT_BITS;
    let shift = range % (1 << SHIFT_BITS);
    (range >> FREE_BITS << FREE_BITS, n << shift)
}

impl Watched {
    /// Begin and length of the map, if it has an address.
    fn range_with(&self, address: usize) -> Option<(usize, usize)> {
        let (start, len) = unpack(self.range.load(Ordering::SeqCst));
        (address.wrapping_sub(start) < len).then_some((start, len))
    }
}

impl Guard {
    /// A place for a map; none where all are taken, or the signal is somebody else's.
    pub(super) fn take() -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let first = NEXT.fetch_add(1, Ordering::Relaxed);
        (0..MAX_MAPS).find_map(|nth| {
            let watched = WATCHED.get(first.wrapping_add(nth) % MAX_MAPS)?;
            let taken = watched.taken.swap(true, Ordering::Acquire);
            // Made only if it is free: one that is dropped frees its place.
            (!taken).then(|| Self(watched))
        })
    }

    /// From now on, pages of this map that cannot be read do not end the process. False where the map lies
    /// so that the handler could not be told.
    pub(super) fn watch(&self, start: usize, len: usize) -> bool {
        let Some(range) = pack(start, len) else {
            return false;
        };
        self.0.failed.store(false, Ordering::SeqCst);
        self.0.range.store(range, Ordering::SeqCst);
        true
    }

    /// To be called before the map goes: its addresses may be another's then.
    pub(super) fn unwatch(&self) {
        self.0.range.store(0, Ordering::SeqCst);
    }

    /// Whether some page could not be read. To be asked after a copy.
    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        // Nothing of the copy may be read behind the look, by the compiler's or the processor's choice.
        fence(Ordering::Acquire);
        self.0.failed.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.unwatch();
        self.0.taken.store(false, Ordering::Release);
    }
}

/// Installs the handler with the first call. False where it could not be, or another one has taken its
/// place since: that one may know nothing of our maps.
fn is_installed() -> bool {
    BEFORE.get_or_init(|| {
        let action = ours();
        let mut before = MaybeUninit::uninit();
        // SAFETY: `handle` keeps to what a handler may do (see there), and both pointers are good.
        let result = unsafe { libc::sigaction(libc::SIGBUS, &action, before.as_mut_ptr()) };
        // SAFETY: a call that succeeds has filled it.
        (result == 0).then(|| unsafe { before.assume_init() })
    });
    current().is_some_and(|action| action.sa_sigaction == ours().sa_sigaction)
}

fn ours() -> libc::sigaction {
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
    // SAFETY: all zeros are a good value of this struct: no flags, an empty mask, the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    // On the alternative stack where there is one, as the standard library does it.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    action
}

fn current() -> Option<libc::sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: nothing is changed, and the pointer is good.
    let result = unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: a call that succeeds has filled it.
    (result == 0).then(|| unsafe { action.assume_init() })
}

/// The handler. Makes system calls only, and leaves `errno` as it was.
extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the system hands over a good pointer.
    let (is_sent, address) = unsafe { ((*info).si_code <= 0, (*info).si_addr().addr()) };
    // SAFETY: points to this thread's own.
    let errno = unsafe { *libc::__errno_location() };
    // What somebody has sent says who did in the place of an address.
    let handled = !is_sent && replace_map_of(address);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    if !handled {
        pass_on(signal, info, context, is_sent);
    }
}

/// Puts zeros in the place of the map that has an address. False where none has.
fn replace_map_of(address: usize) -> bool {
    for watched in &WATCHED {
        let Some((start, len)) = watched.range_with(address) else {
            continue;
        };
        // First, so that no thread that finds the zeros takes them for the file's.
        watched.failed.store(true, Ordering::SeqCst);
        let at = ptr::with_exposed_provenance_mut::<libc::c_void>(start);
        let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: the range is that of a map of ours: it is mapped as long as it is watched, and the
        // thread that was stopped here is reading from it, so that it does not go meanwhile. Nobody has
        // references into it.
        let replaced = unsafe { libc::mmap(at, len, libc::PROT_READ, flags, -1, 0) };
        return replaced != libc::MAP_FAILED;
    }
    false
}

/// Does what would have been done if our handler were not there. A signal that somebody has sent comes once only: what
/// is done about it is no reason to do without ours from then on.
fn pass_on(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
    is_sent: bool,
) {
    let before = BEFORE.get().and_then(Option::as_ref);
    let handler = before.map_or(libc::SIG_DFL, |before| before.sa_sigaction);
    if handler == libc::SIG_IGN && is_sent {
        return;
    }
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // The instruction that failed is tried again, or the signal comes again, and ends the process.
        // SAFETY: all zeros are the default action; both pointers are good.
        unsafe {
            let default: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, &default, ptr::null_mut());
            if is_sent {
                libc::raise(signal);
            }
        }
        return;
    }
    let with_info = before.is_some_and(|before| before.sa_flags & libc::SA_SIGINFO != 0);
    // SAFETY: whoever installed the handler said with its flags which of the two kinds it is.
    unsafe {
        if with_info {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            let handler = std::mem::transmute::<libc::sighandler_t, Handler>(handler);
            handler(signal, info, context);
        } else {
            let handler =
                std::mem::transmute::<libc::sighandler_t, extern "C" fn(libc::c_int)>(handler);
            handler(signal);
        }
    }
    if is_sent {
        // The standard library's puts the default action in its place.
        // SAFETY: as for the first time.
        unsafe { libc::sigaction(signal, &ours(), ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_range_is_one_word() {
        for start in [0x1000, 0x7fff_dead_b000, usize::MAX << 12] {
            for len in [4096, 1 << 16, 3 << 16, 3 << 44, 63 << 20] {
                assert_eq!(unpack(pack(start, len).unwrap()), (start, len));
            }
        }
        assert_eq!(pack(0x1001, 4096), None);
        assert_eq!(pack(0x1000, 65 << 12), None);
        assert_eq!(pack(0x1000, 0), None);
        assert_eq!(unpack(0), (0, 0));
    }

    /// Else the handler would put zeros where somebody else's memory is.
    #[test]
    fn no_map_has_the_length_of_another_in_its_place() {
        // Addresses that no process has.
        let (short, long) = (1 << 62, (1 << 62) + (1 << 40));
        // Behind the short map, where it would end if it had the length of the long one.
        let foreign = short + (1 << 20);
        let place = Watched {
            taken: AtomicBool::new(true),
            range: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        };
        let place: &'static Watched = Box::leak(Box::new(place));
        let looker =
            std::thread::spawn(move || (0..3_000_000).find_map(|_| place.range_with(foreign)));
        let guard = Guard(place);
        while !looker.is_finished() {
            assert!(guard.watch(short, 1 << 16));
            guard.unwatch();
            assert!(guard.watch(long, 3 << 28));
            guard.unwatch();
        }
        assert_eq!(looker.join().unwrap(), None);
    }

    /// Runs a test of this module that is ignored, in a process of its own.
    fn run(test: &str) -> std::process::Output {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg(format!("storage::disk::mapped::guard::tests::{test}"))
            .output()
            .unwrap()
    }

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
        let child = run("reads_what_is_not_there_in_another_map");
        assert_eq!(child.status.signal(), Some(libc::SIGBUS), "{child:?}");
    }

    /// Only as the child of the test below.
    #[test]
    #[ignore = "takes all places of the process"]
    fn takes_all_places() {
        let mut all: Vec<_> = (0..MAX_MAPS).map(|_| Guard::take().unwrap()).collect();
        assert!(Guard::take().is_none());
        all.pop();
        let last = Guard::take();
        assert!(last.is_some() && Guard::take().is_none());
    }

    #[test]
    fn no_more_maps_than_places() {
        let child = run("takes_all_places");
        assert!(child.status.success(), "{child:?}");
    }

    /// A map of a file, which is then cut.
    fn map_of_a_file_that_is_cut() -> (std::fs::File, super::super::map::Map) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 16).unwrap();
        let map = super::super::map::Map::new(&file, 0, 1 << 16).unwrap();
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
        let map = super::super::map::Map::new(&file, 0, 1 << 16).unwrap();
        let (address, _) = unpack(map_range());
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

    /// The only map of the process.
    fn map_range() -> usize {
        let ranges = WATCHED.iter().map(|of| of.range.load(Ordering::SeqCst));
        ranges.max().unwrap()
    }

    #[test]
    fn a_page_that_is_gone_ends_no_process_whatever_becomes_of_the_signal() {
        for test in [
            "reads_a_cut_file_with_signals_blocked",
            "reads_a_cut_file_behind_a_signal_that_was_sent",
            "is_sent_a_signal_with_the_address_of_a_map",
        ] {
            let child = run(test);
            let told = String::from_utf8_lossy(&child.stdout);
            assert!(
                child.status.success() && told.contains("1 passed"),
                "{child:?}"
            );
        }
    }
}
