//! The counters of `nova serve`, for Prometheus and its like: one page over HTTP/1.1, for this machine alone.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::output::Failure;

/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// How long one request may take. They are answered one after another.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);

/// How often the values of histograms are summed up while nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Answers until it is dropped.
pub(super) struct Metrics {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Metrics {
    /// Binds the address, and records from now on.
    pub(super) async fn start(address: SocketAddr) -> Result<Self, Failure> {
        if !address.ip().is_loopback() {
            let message =
                format!("--metrics {address} would tell others on the network about this workspace");
            let hint = "give 127.0.0.1:PORT or [::1]:PORT, and let a proxy answer those who are elsewhere";
            return Err(Failure::usage(&message, hint));
        }
        let cannot = |error: io::Error| {
            Failure::cannot_connect(
                &format!("cannot listen at {address}: {error}"),
                "choose another port with --metrics",
            )
        };
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| Failure::internal(&error.to_string()))?;
        Ok(Self { address, task: tokio::spawn(serve(listener, handle)) })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, handle: PrometheusHandle) {
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            stream = listener.accept() => match stream {
                Ok((stream, _)) => {
                    // Whoever asks badly or slowly gets no answer, and holds nobody up for long.
                    let _ = tokio::time::timeout(REQUEST_WITHIN, answer(stream, &handle)).await;
                }
                // Too many open files, for example: it may pass.
                Err(error) => {
                    tracing::warn!(%error, "a request for the counters was lost");
                    tokio::time::sleep(REQUEST_WITHIN).await;
                }
            },
            _ = upkeep.tick() => handle.run_upkeep(),
        }
    }
}

async fn answer(mut stream: TcpStream, handle: &PrometheusHandle) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = if head.starts_with(b"GET /metrics ") {
        ("200 OK", handle.render())
    } else {
        ("404 Not Found", "the counters are at /metrics\n".to_owned())
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
