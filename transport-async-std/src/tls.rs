//! TLS handshakes. What is agreed, checked and said about errors is in `nova_driver::net::tls`.

use std::io;

use async_std::future::timeout;
use async_std::net::TcpStream;
use futures_rustls::pki_types::ServerName;
use futures_rustls::rustls::server::Acceptor;
use futures_rustls::{LazyConfigAcceptor, TlsConnector, client, server};
use futures_util::io::AsyncWriteExt;
use nova_driver::Fingerprint;
use nova_driver::net::HANG_UP_WITHIN;
use nova_driver::net::tls::{ClientTls, NO_PROTOCOL_ALERT, ServerTls, hang_up};

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
    // The same socket once more: futures-rustls does not give it back from a handshake that has begun.
    let mut raw = stream.clone();
    let start = match LazyConfigAcceptor::new(Acceptor::default(), stream).await {
        Ok(start) => start,
        Err(error) => return Err(refuse(raw, tls.explain(&error)).await),
    };
    if let Err(error) = tls.started(&start.client_hello()) {
        let _ = raw.write_all(&NO_PROTOCOL_ALERT).await;
        return Err(refuse(raw, error).await);
    }
    match start.into_stream(tls.config()).await {
        Ok(stream) => {
            let certificate = tls.finished(stream.get_ref().1);
            Ok((stream, certificate))
        }
        Err(error) => Err(refuse(raw, tls.explain(&error)).await),
    }
}

/// Lets the peer read why, then returns that.
async fn refuse(stream: TcpStream, error: io::Error) -> io::Error {
    let _ = timeout(HANG_UP_WITHIN, hang_up(stream)).await;
    error
}
