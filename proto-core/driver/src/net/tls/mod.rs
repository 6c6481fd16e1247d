//! TLS 1.3 as the protocol asks for it: ALPN `nova/3` on both sides, no resumption and no early data, certificates of a CA
//! that is named. Read from PEM files once, when the program starts.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_io::{AsyncRead, AsyncWrite};
use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ClientHello, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, CommonState, Error, ServerConfig};

use crate::Fingerprint;

mod explain;
mod pem;

pub use explain::is_refusal;
pub use pem::{IdentityFiles, TlsFileError};

/// The protocol's name in ALPN.
pub const ALPN: &[u8] = b"nova/3";

/// The TLS alert `no_application_protocol`, as it is written before there are keys: rustls sends it only to clients that
/// offer other protocols, and accepts those that offer none.
pub const NO_PROTOCOL_ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 120];

/// How much of what a peer sends is read and thrown away while it hangs up.
const HANG_UP_BYTES: u64 = 64 * 1024;

/// Where a worker's TLS settings come from.
#[derive(Debug, Clone)]
pub struct ClientTlsFiles {
    /// The CA that has issued the router's certificate, in PEM form; several are possible. No other is trusted, those of
    /// the system neither.
    pub ca: PathBuf,
    /// The name or IP address that the router's certificate must be for. Default: the address's host.
    pub domain: Option<String>,
    /// The certificate that the worker shows if it is asked for one. Default: none.
    pub identity: Option<IdentityFiles>,
}

/// Where a router's TLS settings come from.
#[derive(Debug, Clone)]
pub struct ServerTlsFiles {
    /// The router's certificate and key.
    pub identity: IdentityFiles,
    /// The CA that has issued the workers' certificates. With it, a worker without a valid one is refused. Default: none is
    /// asked for.
    pub client_ca: Option<PathBuf>,
}

/// A worker's TLS settings. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    domain: Option<ServerName<'static>>,
    ca: PathBuf,
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file, and what to do.
    pub fn from_files(files: &ClientTlsFiles) -> Result<Self, TlsFileError> {
        let domain = files.domain.as_deref().map(|domain| {
            ServerName::try_from(domain.to_owned()).map_err(|_| TlsFileError::Domain(domain.to_owned()))
        });
        let domain = domain.transpose()?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsFileError::Provider)?
            .with_root_certificates(pem::roots(&files.ca)?);
        let mut config = match &files.identity {
            Some(identity) => {
                let (chain, key) = identity.read()?;
                builder.with_client_auth_cert(chain, key).map_err(|error| identity.rejected(error))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), domain, ca: files.ca.clone() })
    }

    /// What rustls is configured with.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// What the certificate of a router at `host` must be for.
    ///
    /// # Errors
    /// If no certificate can be for such a host.
    pub fn server_name(&self, host: &str) -> io::Result<ServerName<'static>> {
        if let Some(domain) = &self.domain {
            return Ok(domain.clone());
        }
        ServerName::try_from(host.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, TlsFileError::Domain(host.to_owned()).to_string())
        })
    }

    /// Says what an error of a stream with this configuration means, and what to do.
    #[must_use]
    pub fn explain(&self, error: &io::Error) -> io::Error {
        explain::explain(error, "the router", Some(&self.ca))
    }

    /// Checks a finished handshake; returns the router's certificate.
    ///
    /// # Errors
    /// If the router did not choose our protocol.
    pub fn finished(&self, state: &CommonState) -> io::Result<Option<Fingerprint>> {
        if state.alpn_protocol() != Some(ALPN) {
            return Err(
                self.explain(&io::Error::new(io::ErrorKind::InvalidData, Error::NoApplicationProtocol))
            );
        }
        Ok(fingerprint_of_peer(state))
    }
}

/// A router's TLS settings. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    client_ca: Option<PathBuf>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file, and what to do.
    pub fn from_files(files: &ServerTlsFiles) -> Result<Self, TlsFileError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsFileError::Provider)?;
        let builder = match &files.client_ca {
            Some(ca) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(pem::roots(ca)?), provider())
                        .build()
                        .map_err(|error| TlsFileError::Certificate {
                            file: ca.clone(),
                            problem: error.to_string(),
                        })?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = files.identity.read()?;
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| files.identity.rejected(error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), client_ca: files.client_ca.clone() })
    }

    /// What rustls is configured with.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Whether workers must show a certificate.
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        self.client_ca.is_some()
    }

    /// Says what an error of a stream with this configuration means, and what to do.
    #[must_use]
    pub fn explain(&self, error: &io::Error) -> io::Error {
        explain::explain(error, "the worker", self.client_ca.as_deref())
    }

    /// Checks what a worker offers.
    ///
    /// # Errors
    /// If our protocol is not part of it: then [`NO_PROTOCOL_ALERT`] is the answer.
    pub fn started(&self, hello: &ClientHello<'_>) -> io::Result<()> {
        if hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == ALPN)) {
            return Ok(());
        }
        Err(self.explain(&io::Error::new(io::ErrorKind::InvalidData, Error::NoApplicationProtocol)))
    }

    /// The worker's certificate, after the handshake.
    #[must_use]
    pub fn finished(&self, state: &CommonState) -> Option<Fingerprint> {
        fingerprint_of_peer(state)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("domain", &self.domain)
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("client_ca", &self.client_ca).finish_non_exhaustive()
    }
}

/// Ends a stream whose handshake was refused: half-closes it and reads until the peer hangs up, or has sent more than any
/// handshake holds. Releasing a socket with unread input would send a reset, which destroys the alert that says why. The
/// caller bounds the time, with [`HANG_UP_WITHIN`](super::HANG_UP_WITHIN).
pub async fn hang_up(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.close().await.is_ok() {
        let mut rest = stream.take(HANG_UP_BYTES);
        let mut buffer = [0; 4096];
        while matches!(rest.read(&mut buffer).await, Ok(1..)) {}
    }
}

/// Named here and given to each configuration: what else is linked into a program may have another idea of a default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn fingerprint_of_peer(state: &CommonState) -> Option<Fingerprint> {
    state.peer_certificates()?.first().map(fingerprint)
}

/// What names a certificate.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    // The suite's hash is SHA-256: RFC 8446, section B.4.
    let suite = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    let hash = suite.expect("a suite of TLS 1.3").common.hash_provider.hash(certificate);
    Fingerprint(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// A file's name in messages.
fn shown(path: &Path) -> impl fmt::Display + '_ {
    path.display()
}
