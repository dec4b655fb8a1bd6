//! The handler of SIGBUS: who gets the signal, and in which threads it can be caught.
//!
//! # Invariants
//!
//! - It takes no lock and no memory: of its own it reads and writes atomics, and makes system calls.
//! - A thread that blocks the signal reads nothing through a map: there it would end the process, handler or not.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
// Always of the standard library: a signal comes in no order that a test chooses.
use std::sync::OnceLock;

use super::guard;

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

/// Installs the handler with the first call. False where it could not be, or another one has taken its
/// place since: that one may know nothing of our maps.
pub(super) fn is_installed() -> bool {
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
    let handled = !is_sent && guard::replace_map_of(address);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    if !handled {
        pass_on(signal, info, context, is_sent);
    }
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
mod tests;
