use std::future::Future;
use std::io;
use std::time::Instant;

use nova_driver::{Address, Application, Handle, Io};
use nova_proto_core::{CloseReason, Config};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

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

/// Puts a connection on a socket, or on any other tokio stream. The returned future drives it to its end: spawn it.
///
/// # Errors
/// If the configuration breaks a floor.
pub fn drive<T, A>(
    stream: T,
    config: Config,
    application: A,
) -> Result<(Handle, impl Future<Output = CloseReason> + use<T, A>), nova_proto_core::ConfigError>
where
    T: AsyncRead + AsyncWrite,
    A: Application + Unpin,
{
    let (reader, writer) = tokio::io::split(stream);
    nova_driver::connect(
        Io {
            reader: Box::pin(reader.compat()),
            writer: Box::pin(writer.compat_write()),
            // The runtime's clock, so that paused time in tests is the connection's time.
            now: || tokio::time::Instant::now().into_std(),
            sleep_until: |at: Instant| tokio::time::sleep_until(at.into()),
        },
        config,
        application,
    )
}
