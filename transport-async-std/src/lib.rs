//! Remote RPC v3 over futures-io runtimes, async-std among them.
//!
//! [`connect`] opens a socket with async-std, [`drive`] puts a connection on it. Neither knows anything that
//! `nova-driver` does not give to every runtime: with smol or another runtime of the `futures-io` family, call
//! [`nova_driver::connect`] with your own halves, clock and sleep.
//!
//! async-std is discontinued upstream (RUSTSEC-2025-0052); see this crate's README for what that means.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io;
use std::time::Instant;

use async_std::net::TcpStream;
use async_std::os::unix::net::UnixStream;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::io::AsyncReadExt;
use nova_driver::{Address, Application, Handle, Io};
use nova_proto_core::{CloseReason, Config, ConfigError};

/// A stream that can be read and written, whatever it is.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Opens a socket. A host name's addresses are tried in turn.
///
/// # Errors
/// The last address's error, with the address in it.
pub async fn connect(address: &Address) -> io::Result<Box<dyn Duplex>> {
    open(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot connect to {address}: {error}")))
}

async fn open(address: &Address) -> io::Result<Box<dyn Duplex>> {
    Ok(match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}

/// Puts a connection on a socket, or on any other futures-io stream. The returned future drives it to its end: spawn it.
///
/// # Errors
/// If the configuration breaks a floor.
pub fn drive<T, A>(
    stream: T,
    config: Config,
    application: A,
) -> Result<(Handle, impl Future<Output = CloseReason> + use<T, A>), ConfigError>
where
    T: AsyncRead + AsyncWrite,
    A: Application + Unpin,
{
    let (reader, writer) = stream.split();
    nova_driver::connect(
        Io {
            reader: Box::pin(reader),
            writer: Box::pin(writer),
            now: Instant::now,
            sleep_until: |at: Instant| async_std::task::sleep(at.saturating_duration_since(Instant::now())),
        },
        config,
        application,
    )
}
