//! The floor for a call interface: the least that lets many callers share a connection, written as well as we can. A
//! caller has a future of its own that is woken when its answer comes; answers are matched by number. One task writes all
//! that has gathered since the last write; one reads as much as has come, and takes the lock once for all of it. The server
//! answers where it reads. No limits, time, flow control, errors or cancellation.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nova_transport_tokio::Address;
use slab::Slab;
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::frames::{Input, Stream, connect};
use crate::{Error, Tls, small};

/// A frame is `u32 length | u32 number | body`.
fn append(output: &mut Vec<u8>, number: u32, body: &[u8]) {
    output.extend_from_slice(&(body.len() as u32 + 4).to_le_bytes());
    output.extend_from_slice(&number.to_le_bytes());
    output.extend_from_slice(body);
}

fn split(frame: &[u8]) -> io::Result<(u32, &[u8])> {
    let (number, body) = frame.split_first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
    Ok((u32::from_le_bytes(*number), body))
}

/// Hands every frame to `handler`, which gives the answer to it.
pub(crate) async fn serve<B: AsRef<[u8]>>(
    mut stream: impl Stream,
    handler: impl Fn(&[u8]) -> B,
) -> io::Result<()> {
    let (mut input, mut output) = (Input::new(), Vec::new());
    loop {
        while let Some(frame) = input.frame() {
            let (number, body) = split(frame)?;
            append(&mut output, number, handler(body).as_ref());
        }
        stream.write_all(&output).await?;
        stream.flush().await?;
        output.clear();
        if !input.fill(&mut stream).await? {
            return Ok(());
        }
    }
}

/// What callers, the reader and the writer share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is output, where there was none.
    written: Notify,
}

#[derive(Default)]
struct State {
    output: Vec<u8>,
    waiting: Slab<oneshot::Sender<Box<[u8]>>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, body: &[u8]) -> Result<Box<[u8]>, oneshot::error::RecvError> {
        let (sender, answer) = oneshot::channel();
        let was_empty = {
            let mut state = self.lock();
            let was_empty = state.output.is_empty();
            let number = state.waiting.insert(sender) as u32;
            append(&mut state.output, number, body);
            was_empty
        };
        if was_empty {
            self.written.notify_one();
        }
        answer.await
    }

    async fn write(&self, mut stream: WriteHalf<Box<dyn Stream>>) -> io::Result<()> {
        let mut output = Vec::new();
        loop {
            self.written.notified().await;
            std::mem::swap(&mut output, &mut self.lock().output);
            stream.write_all(&output).await?;
            stream.flush().await?;
            output.clear();
        }
    }

    async fn read(&self, mut stream: impl AsyncReadExt + Unpin) -> io::Result<()> {
        let mut input = Input::new();
        let mut answered = Vec::new();
        while input.fill(&mut stream).await? {
            {
                let mut state = self.lock();
                while let Some(frame) = input.frame() {
                    let (number, body) = split(frame)?;
                    let caller =
                        state.waiting.try_remove(number as usize).ok_or(io::ErrorKind::InvalidData)?;
                    answered.push((caller, Box::from(body)));
                }
            }
            for (caller, body) in answered.drain(..) {
                let _ = caller.send(body);
            }
        }
        Ok(())
    }
}

/// How many echoes of 64 bytes a second, from so many tasks.
pub(crate) async fn echoes(
    address: &Address,
    tls: &Tls,
    in_flight: usize,
    span: Duration,
) -> Result<f64, Error> {
    let shared = Arc::new(Shared::default());
    let (reader, writer) = tokio::io::split(connect(address, tls).await?);
    let io = [
        tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.write(writer).await }
        }),
        tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.read(reader).await }
        }),
    ];
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for task in 0..in_flight as u64 {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut count = 0;
            while start.elapsed() < span {
                let body = small(task << 40 | count);
                let answer = shared.call(&body).await.map_err(|error| error.to_string())?;
                if *answer != body {
                    return Err("a wrong answer".to_owned());
                }
                count += 1;
            }
            Ok(count)
        });
    }
    let mut count = 0;
    while let Some(task) = tasks.join_next().await {
        count += task??;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    io.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(rate)
}
