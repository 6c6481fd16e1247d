//! TLS handshakes. What is agreed, checked and said about errors is in `nova_driver::net::tls`.

use std::io;

use nova_driver::Fingerprint;
use nova_driver::net::HANG_UP_WITHIN;
use nova_driver::net::tls::{ClientTls, NO_PROTOCOL_ALERT, ServerTls, hang_up};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, client, server};
use tokio_util::compat::TokioAsyncReadCompatExt;

pub(crate) async fn connect(
    stream: TcpStream,
    tls: &ClientTls,
    name: ServerName<'static>,
) -> io::Result<(client::TlsStream<TcpStream>, Option<Fingerprint>)> {
    match TlsConnector::from(tls.config()).connect(name, stream).into_fallible().await {
        Ok(stream) => {
            let certificate = tls.finished(stream.get_ref().1)?;
            Ok((stream, certificate))
        }
        Err((error, stream)) => Err(refuse(stream, tls.explain(&error)).await),
    }
}

pub(crate) async fn accept(
    stream: TcpStream,
    tls: &ServerTls,
) -> io::Result<(server::TlsStream<TcpStream>, Option<Fingerprint>)> {
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let mut start = match (&mut acceptor).await {
        Ok(start) => start,
        Err(error) => {
            let error = tls.explain(&error);
            return Err(match acceptor.take_io() {
                Some(stream) => refuse(stream, error).await,
                None => error,
            });
        }
    };
    if let Err(error) = tls.started(&start.client_hello()) {
        let _ = start.io.write_all(&NO_PROTOCOL_ALERT).await;
        return Err(refuse(start.io, error).await);
    }
    match start.into_stream(tls.config()).into_fallible().await {
        Ok(stream) => {
            let certificate = tls.finished(stream.get_ref().1);
            Ok((stream, certificate))
        }
        Err((error, stream)) => Err(refuse(stream, tls.explain(&error)).await),
    }
}

/// Lets the peer read why, then returns that.
async fn refuse(stream: TcpStream, error: io::Error) -> io::Error {
    let _ = timeout(HANG_UP_WITHIN, hang_up(stream.compat())).await;
    error
}
