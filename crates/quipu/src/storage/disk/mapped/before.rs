//! What was done about SIGBUS before maps came, and is done still about every signal that is not of theirs.
//!
//! ```text
//! before the maps     of another address           sent by somebody
//! a handler           called                       called
//! default             ends the process             ends the process
//! ignored             ends the process             nothing
//! ```
//!
//! A handler is called with what the system told ours, under the mask and on the stack that it
//! asked for. That of the standard library puts the default in its own place when it is called, and returns; another may
//! be there for one signal alone. Maps need a handler all the same: ours is put in its place again, and does from then on
//! what the one before left to be done. Only between the two may a page that is gone end the process.

// Always of the standard library: a signal comes in no order that a test chooses.
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::handler;

static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
/// What the handler before has left in its own place: the default, or nothing at all. `SIG_ERR` while it stays.
static LEFT: AtomicUsize = AtomicUsize::new(libc::SIG_ERR);

/// What the handler before may have asked for, and is granted.
const FLAGS: libc::c_int = libc::SA_NODEFER | libc::SA_ONSTACK | libc::SA_RESTART;

/// A signal, as a handler is told of it.
#[derive(Clone, Copy)]
pub(super) struct Signal {
    pub(super) number: libc::c_int,
    pub(super) info: *mut libc::siginfo_t,
    pub(super) context: *mut libc::c_void,
    /// Of a read that failed, and is made again once the handler returns.
    pub(super) is_of_a_read: bool,
}

/// Keeps what was done in mind, once; returns what is kept.
pub(super) fn keep(action: libc::sigaction) -> &'static libc::sigaction {
    BEFORE.get_or_init(|| action)
}

/// The flags by which our handler is called as the one before would be.
pub(super) fn flags(before: &libc::sigaction) -> libc::c_int {
    match before.sa_sigaction {
        // On the alternative stack where there is one; and a signal that is ignored interrupts no call.
        libc::SIG_DFL | libc::SIG_IGN => libc::SA_ONSTACK | libc::SA_RESTART,
        _ => before.sa_flags & FLAGS,
    }
}

/// Does what would have been done if our handler were not there.
pub(super) fn pass_on(signal: Signal) {
    let before = BEFORE.get().copied().unwrap_or_else(handler::default);
    match next_of(&before) {
        libc::SIG_IGN if !signal.is_of_a_read => {}
        libc::SIG_DFL | libc::SIG_IGN => end(signal),
        handler => {
            call(handler, before.sa_flags, signal);
            stay(&before);
        }
    }
}

/// The handler before, or what it has left in its place.
fn next_of(before: &libc::sigaction) -> libc::sighandler_t {
    let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
    let left = match before.sa_flags & libc::SA_RESETHAND {
        0 => LEFT.load(fetch),
        // It is called once, whoever comes first.
        _ => match LEFT.compare_exchange(libc::SIG_ERR, libc::SIG_DFL, set, fetch) {
            Ok(left) | Err(left) => left,
        },
    };
    match left {
        libc::SIG_ERR => before.sa_sigaction,
        left => left,
    }
}

/// Has the signal end the process: once the handler returns, a read is made again, and fails again.
fn end(signal: Signal) {
    handler::change(&handler::default());
    if !signal.is_of_a_read {
        // SAFETY: it may be called in a handler, and takes no memory. Where the signal is blocked there, it waits until that returns.
        unsafe { libc::raise(signal.number) };
    }
}

fn call(handler: libc::sighandler_t, flags: libc::c_int, signal: Signal) {
    // SAFETY: whoever installed the handler said with its flags which of the two kinds it is.
    unsafe {
        if flags & libc::SA_SIGINFO != 0 {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            let handler = std::mem::transmute::<libc::sighandler_t, Handler>(handler);
            handler(signal.number, signal.info, signal.context);
        } else {
            let handler =
                std::mem::transmute::<libc::sighandler_t, extern "C" fn(libc::c_int)>(handler);
            handler(signal.number);
        }
    }
}

/// Puts ours in its place again where the handler before has gone from there. Another handler stays.
fn stay(before: &libc::sigaction) {
    let now = handler::current().map_or(libc::SIG_ERR, |now| now.sa_sigaction);
    if now == libc::SIG_DFL || now == libc::SIG_IGN {
        LEFT.store(now, Ordering::SeqCst);
        handler::change(&handler::ours(before));
    }
}

#[cfg(test)]
mod tests;
