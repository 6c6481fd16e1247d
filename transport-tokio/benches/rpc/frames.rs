//! The floor of the socket: length-prefixed frames by hand, with buffered reads and one write for many frames. A single task
//! sends a whole window and takes the answers in the order in which they come: there are no calls, and nobody is woken.

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use nova_transport_tokio::{Address, Listener, connect_with};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::{Error, Tls, pattern, small};

const BUFFER: usize = 64 * 1024;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Plain sockets without anything of ours; under TLS the transport's stream.
pub(crate) async fn connect(address: &Address, tls: &Tls) -> io::Result<Box<dyn Stream>> {
    match address {
        Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        _ => Ok(Box::new(connect_with(address, &tls.to_connect).await?)),
    }
}

/// Runs `session` on every connection.
pub(crate) async fn serve<F>(
    address: &Address,
    tls: &Tls,
    session: impl Fn(Box<dyn Stream>) -> F,
) -> Result<(), Error>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    match address {
        Address::Unix(path) => {
            let listener = UnixListener::bind(path)?;
            println!("{address}");
            loop {
                tokio::spawn(session(Box::new(listener.accept().await?.0)));
            }
        }
        Address::Tcp { host, port } => {
            let listener = TcpListener::bind((host.as_str(), *port)).await?;
            println!("tcp:{}", listener.local_addr()?);
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(session(Box::new(stream)));
            }
        }
        _ => {
            let mut listener = Listener::bind_with(address, &tls.to_listen).await?;
            println!("{}", listener.address());
            loop {
                tokio::spawn(session(Box::new(listener.accept().await)));
            }
        }
    }
}

/// Sends every frame back when all of it is there.
pub(crate) async fn echo(mut stream: impl Stream) -> io::Result<()> {
    let (mut input, mut output) = (Input::new(), Vec::new());
    loop {
        while let Some(frame) = input.frame() {
            output.extend_from_slice(&(frame.len() as u32).to_le_bytes());
            output.extend_from_slice(frame);
        }
        stream.write_all(&output).await?;
        stream.flush().await?;
        output.clear();
        if !input.fill(&mut stream).await? {
            return Ok(());
        }
    }
}

/// Bytes that came, from which frames are taken. Kept and grown to the longest frame.
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BUFFER], start: 0, end: 0 }
    }

    /// The length of the next frame, if that much is known.
    fn length(&self) -> Option<usize> {
        let (length, _) = self.bytes[self.start..self.end].split_first_chunk::<4>()?;
        Some(u32::from_le_bytes(*length) as usize)
    }

    pub(crate) fn frame(&mut self) -> Option<&[u8]> {
        let length = self.length()?;
        let from = self.start + 4;
        if self.end < from + length {
            return None;
        }
        self.start = from + length;
        Some(&self.bytes[from..from + length])
    }

    /// Reads once; `false` at the end.
    pub(crate) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let needed = self.length().map_or(BUFFER, |length| (length + 4).max(BUFFER));
        if self.bytes.len() < needed {
            self.bytes.resize(needed, 0);
        }
        let count = stream.read(&mut self.bytes[self.end..]).await?;
        self.end += count;
        Ok(count > 0)
    }
}

/// How many echoes of 64 bytes a second, with so many under way.
pub(crate) async fn echoes(
    address: &Address,
    tls: &Tls,
    in_flight: usize,
    span: Duration,
) -> Result<f64, Error> {
    let mut stream = connect(address, tls).await?;
    let (mut input, mut output) = (Input::new(), Vec::new());
    let (mut sent, mut answered) = (0, 0);
    let start = Instant::now();
    while answered < sent || start.elapsed() < span {
        let more = start.elapsed() < span;
        while more && sent - answered < in_flight as u64 {
            output.extend_from_slice(&64_u32.to_le_bytes());
            output.extend_from_slice(&small(sent));
            sent += 1;
        }
        stream.write_all(&output).await?;
        stream.flush().await?;
        output.clear();
        if answered < sent && !input.fill(&mut stream).await? {
            return Err("the server left".into());
        }
        while let Some(frame) = input.frame() {
            if frame != small(answered) {
                return Err("a wrong answer".into());
            }
            answered += 1;
        }
    }
    Ok(answered as f64 / start.elapsed().as_secs_f64())
}

/// How many MiB a second go there and come back as large frames, one after the other.
pub(crate) async fn large(address: &Address, tls: &Tls, length: usize, span: Duration) -> Result<f64, Error> {
    let mut stream = connect(address, tls).await?;
    let body = pattern(length);
    let mut input = Input::new();
    // The first one is not counted: it grows the buffers.
    let (mut start, mut count) = (Instant::now(), -1_i32);
    while count < 1 || start.elapsed() < span {
        stream.write_all(&(length as u32).to_le_bytes()).await?;
        stream.write_all(&body).await?;
        stream.flush().await?;
        let right = loop {
            if let Some(frame) = input.frame() {
                break frame == body;
            }
            if !input.fill(&mut stream).await? {
                return Err("the server left".into());
            }
        };
        if !right {
            return Err("a wrong answer".into());
        }
        count += 1;
        if count == 0 {
            start = Instant::now();
        }
    }
    Ok(f64::from(count) * (length >> 20) as f64 / start.elapsed().as_secs_f64())
}
