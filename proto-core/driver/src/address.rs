use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen or to connect: `unix:PATH`, `tcp:HOST:PORT`, `tcp+tls:HOST:PORT` or `pipe:NAME`.
///
/// ```
/// use nova_driver::Address;
///
/// let address: Address = "tcp:[::1]:9000".parse()?;
/// assert_eq!(address, Address::Tcp { host: "::1".into(), port: 9000 });
/// assert_eq!(address.to_string(), "tcp:[::1]:9000");
/// # Ok::<(), nova_driver::AddressError>(())
/// ```
///
/// Exhaustive on purpose: a transport that forgets a new kind should not compile.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix domain socket.
    Unix(PathBuf),
    /// TCP in clear text: for the loopback interface.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// The port; 0 to listen on any free one.
        port: u16,
    },
    /// TLS 1.3 over TCP.
    Tls {
        /// A name or an IP address, without brackets; what the router's certificate must be for.
        host: String,
        /// The port; 0 to listen on any free one.
        port: u16,
    },
    /// A named pipe of Windows, without `\\.\pipe\`. It can be named everywhere and is opened nowhere yet: see
    /// [`NO_PIPES`](Self::NO_PIPES).
    Pipe(String),
}

impl Address {
    /// What to tell who names a pipe where there are none.
    pub const NO_PIPES: &str = "named pipes exist on Windows only; use unix:PATH";

    /// Whether everyone on the way can read and change what is sent there: TCP without TLS.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        matches!(self, Self::Tcp { .. })
    }

    /// Whether only this machine can be meant. A name other than `localhost` counts as another machine, whatever it
    /// resolves to now.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Pipe(_) => true,
            Self::Tcp { host, .. } | Self::Tls { host, .. } => {
                host == "localhost"
                    || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |problem| AddressError { address: text.to_owned(), problem };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| error("no scheme"))?;
        match scheme {
            "unix" if rest.is_empty() => Err(error("no path")),
            "unix" => Ok(Self::Unix(rest.into())),
            "tcp" => host_and_port(rest).map(|(host, port)| Self::Tcp { host, port }).map_err(error),
            "tcp+tls" => host_and_port(rest).map(|(host, port)| Self::Tls { host, port }).map_err(error),
            "pipe" if rest.is_empty() => Err(error("no name")),
            "pipe" => Ok(Self::Pipe(rest.to_owned())),
            _ => Err(error("unknown scheme")),
        }
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("no port")?;
    let port = port.parse().map_err(|_| "the port is not a number up to 65535")?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']').ok_or("no closing bracket")?,
        None if host.contains(':') => return Err("an IPv6 address stands in brackets: tcp:[::1]:9000"),
        None => host,
    };
    if host.is_empty() {
        return Err("no host");
    }
    Ok((host.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Unix(path) => return write!(f, "unix:{}", path.display()),
            Self::Pipe(name) => return write!(f, "pipe:{name}"),
            Self::Tcp { host, port } => ("tcp", host, port),
            Self::Tls { host, port } => ("tcp+tls", host, port),
        };
        if host.contains(':') {
            write!(f, "{scheme}:[{host}]:{port}")
        } else {
            write!(f, "{scheme}:{host}:{port}")
        }
    }
}

/// A text that is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is no address ({problem}); use unix:PATH, tcp:HOST:PORT or tcp+tls:HOST:PORT")]
pub struct AddressError {
    address: String,
    problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_are_written() {
        for text in [
            "unix:/run/nova.sock",
            "tcp:localhost:9000",
            "tcp:[::1]:0",
            "tcp:10.0.0.1:65535",
            "tcp+tls:router.example.com:9000",
            "tcp+tls:[2001:db8::1]:9000",
            "pipe:nova",
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn bad_addresses_say_what_is_wrong() {
        for (text, problem) in [
            ("/run/nova.sock", "no scheme"),
            ("unix:", "no path"),
            ("tcp:9000", "no port"),
            ("tcp::9000", "no host"),
            ("tcp:host:x", "not a number"),
            ("tcp:host:65536", "not a number"),
            ("tcp:::1:9000", "brackets"),
            ("tcp:[::1:9000", "closing bracket"),
            ("tcp+tls:host", "no port"),
            ("tcp+tls:::1:9000", "brackets"),
            ("pipe:", "no name"),
            ("http:host:1", "unknown scheme"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(problem) && error.contains("use unix:PATH"), "{error}");
        }
    }

    #[test]
    fn what_is_local_and_what_is_readable_on_the_way() {
        for (text, local, plaintext) in [
            ("unix:/run/nova.sock", true, false),
            ("pipe:nova", true, false),
            ("tcp:localhost:1", true, true),
            ("tcp:127.8.0.1:1", true, true),
            ("tcp:[::1]:1", true, true),
            ("tcp:0.0.0.0:1", false, true),
            ("tcp:localhost.example.com:1", false, true),
            ("tcp+tls:10.0.0.1:1", false, false),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!((address.is_local(), address.is_plaintext()), (local, plaintext), "{text}");
        }
    }
}
