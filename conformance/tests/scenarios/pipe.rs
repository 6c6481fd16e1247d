//! A pipe in memory that holds a few bytes each way, for every kind of end.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_util::{AsyncRead, AsyncWrite};

/// One end; dropping it hangs up.
pub(crate) struct PipeEnd {
    incoming: Arc<OneWay>,
    outgoing: Arc<OneWay>,
}

struct OneWay {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    ended: bool,
    waiting: Vec<Waker>,
}

/// A pipe that holds `capacity` bytes each way.
pub(crate) fn pipe(capacity: usize) -> (PipeEnd, PipeEnd) {
    let one_way = || Arc::new(OneWay { capacity, state: Mutex::default() });
    let (there, back) = (one_way(), one_way());
    (PipeEnd { incoming: back.clone(), outgoing: there.clone() }, PipeEnd { incoming: there, outgoing: back })
}

impl OneWay {
    /// Looks at the state; wakes the other side if something moved, else waits for it.
    fn poll<T>(&self, cx: &Context<'_>, act: impl FnOnce(&mut State) -> Option<T>) -> Poll<T> {
        let mut state = self.state.lock().expect("no panic");
        let Some(moved) = act(&mut state) else {
            state.waiting.push(cx.waker().clone());
            return Poll::Pending;
        };
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        Poll::Ready(moved)
    }

    fn poll_read(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |state| {
            let count = buffer.len().min(state.bytes.len());
            let moved = count > 0 || state.ended;
            buffer[..count].iter_mut().zip(state.bytes.drain(..count)).for_each(|(to, byte)| *to = byte);
            moved.then_some(Ok(count))
        })
    }

    fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |state| {
            if state.ended {
                return Some(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let count = bytes.len().min(self.capacity - state.bytes.len());
            state.bytes.extend(&bytes[..count]);
            (count > 0).then_some(Ok(count))
        })
    }

    fn end(&self) {
        let _ = self.poll(&Context::from_waker(Waker::noop()), |state| {
            state.ended = true;
            Some(())
        });
    }
}

impl PipeEnd {
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.outgoing.end();
        }
        if how != Shutdown::Write {
            self.incoming.end();
        }
        Ok(())
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl AsyncRead for PipeEnd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.incoming.poll_read(cx, buffer)
    }
}

impl AsyncWrite for PipeEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.outgoing.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }
}

impl Read for &PipeEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        smol::block_on(poll_fn(|cx| self.incoming.poll_read(cx, buffer)))
    }
}

impl Write for &PipeEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        smol::block_on(poll_fn(|cx| self.outgoing.poll_write(cx, bytes)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
