//! What a task awaits.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::batch::Ticket;
use crate::archive::writer::Put;
use crate::error::{Error, Result};

/// A put that [`GroupCommit::put_async`](super::GroupCommit::put_async) was asked for; awaited, it tells what became
/// of it once that is durable.
///
/// It is put whether or not this is awaited. Dropped before, it wakes nobody, and nobody is told what became of it. It
/// borrows nothing, keeps nothing of the archive, and may outlive it. After it was ready it is pending for ever.
#[derive(Debug)]
#[must_use = "an item is durable only once this was awaited"]
pub struct DurablePut(State);

#[derive(Debug)]
enum State {
    Waiting(Ticket),
    /// It was refused at once; the error, until it is told.
    Failed(Option<Error>),
}

impl DurablePut {
    pub(super) fn waiting(ticket: Ticket) -> Self {
        Self(State::Waiting(ticket))
    }

    pub(super) fn failed(error: Error) -> Self {
        Self(State::Failed(Some(error)))
    }
}

impl Future for DurablePut {
    type Output = Result<Put>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Put>> {
        match &mut self.0 {
            State::Waiting(ticket) => ticket.poll(context.waker()),
            State::Failed(error) => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
        }
    }
}

impl Drop for DurablePut {
    fn drop(&mut self) {
        if let State::Waiting(ticket) = &self.0 {
            ticket.forget();
        }
    }
}
