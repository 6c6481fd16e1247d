use std::fmt;
use std::net::SocketAddr;

/// Who is at the other end of a stream, as far as the stream itself tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What carries the bytes.
    pub link: Link,
    /// Its address; a peer on a Unix socket has none.
    pub address: Option<SocketAddr>,
    /// The certificate that it has proved to hold the key of: verified against the configured CA. `None` without TLS, and
    /// if the peer showed none.
    pub certificate: Option<Fingerprint>,
}

/// What carries the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// A Unix domain socket: never leaves the machine.
    Unix,
    /// TCP: everyone on the way can read and change everything.
    Tcp,
    /// TLS 1.3 over TCP.
    Tls,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}")?,
            None => f.write_str("a Unix socket")?,
        }
        match self.certificate {
            Some(certificate) => write!(f, " with certificate {certificate}"),
            None => Ok(()),
        }
    }
}

/// SHA-256 of a certificate's DER form. Written in lower-case hexadecimal digits, as
/// `openssl x509 -fingerprint -sha256` does but for case and colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}
