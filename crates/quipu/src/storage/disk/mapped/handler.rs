//! The handler of SIGBUS: who gets the signal, and in which threads it can be caught.
//!
//! A signal of a read that failed in one of our maps is for [`guard`], every other is for whom it was [`before`].
//!
//! A signal of a failed read that its thread blocks ends the process, whatever handler there is. So a thread looks at
//! its mask before it first reads through a map, and where SIGBUS is blocked reads with calls from then on. One that
//! blocks it later is not seen: a look is a system call, which is what maps save.
//!
//! # Invariants
//!
//! - The handler takes no lock and no memory: of its own it reads and writes atomics, and makes system calls.
//! - It knows what was done before from the first signal on.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
// Always of the standard library: a signal comes in no order that a test chooses.
use std::sync::OnceLock;

use super::before::{self, Signal};
use super::guard;

/// Whether ours could be installed.
static INSTALLED: OnceLock<bool> = OnceLock::new();

// Of the standard library, as above: the mask is that of the system's thread.
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

/// Installs the handler with the first call. False where it could not be, or another one has taken its
/// place since: that one may know nothing of our maps.
pub(super) fn is_installed() -> bool {
    *INSTALLED.get_or_init(install)
        && current().is_some_and(|action| action.sa_sigaction == handler())
}

fn install() -> bool {
    let Some(before) = current() else {
        return false;
    };
    // First: the next signal may come as soon as ours is there.
    let before = before::keep(before);
    match change(&ours(before)) {
        Some(was) if was.sa_sigaction == before.sa_sigaction => true,
        // Of another thread, which installed it just now.
        Some(was) => {
            change(&was);
            false
        }
        None => false,
    }
}

fn handler() -> libc::sighandler_t {
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
    handler as libc::sighandler_t
}

/// Our handler, which is called as the one before would be.
pub(super) fn ours(before: &libc::sigaction) -> libc::sigaction {
    let mut action = default();
    action.sa_sigaction = handler();
    action.sa_mask = before.sa_mask;
    action.sa_flags = libc::SA_SIGINFO | before::flags(before);
    action
}

pub(super) fn default() -> libc::sigaction {
    // SAFETY: all zeros are a good value of this struct: no flags, an empty mask, the default action.
    unsafe { std::mem::zeroed() }
}

/// Changes what is done about the signal to the default, ours, or what was done before; returns what was done.
pub(super) fn change(to: &libc::sigaction) -> Option<libc::sigaction> {
    let mut was = MaybeUninit::uninit();
    // SAFETY: both pointers are good, and `handle` keeps to what a handler may do; a call that succeeds has filled it.
    unsafe {
        let result = libc::sigaction(libc::SIGBUS, to, was.as_mut_ptr());
        (result == 0).then(|| was.assume_init())
    }
}

pub(super) fn current() -> Option<libc::sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: nothing is changed, and the pointer is good; a call that succeeds has filled it.
    unsafe {
        let result = libc::sigaction(libc::SIGBUS, ptr::null(), action.as_mut_ptr());
        (result == 0).then(|| action.assume_init())
    }
}

/// The handler. Leaves `errno` as it was.
extern "C" fn handle(number: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the system hands over a good pointer.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    // SAFETY: points to this thread's own.
    let errno = unsafe { *libc::__errno_location() };
    // All others were sent, and say by whom in the place of an address, or tell of memory that nobody has asked for.
    let is_of_a_read = code > 0 && code != libc::BUS_MCEERR_AO;
    if !(is_of_a_read && guard::replace_map_of(address)) {
        before::pass_on(Signal {
            number,
            info,
            context,
            is_of_a_read,
        });
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

#[cfg(test)]
pub(super) mod tests;
