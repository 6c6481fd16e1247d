use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen or to connect: `unix:PATH` or `tcp:HOST:PORT`.
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
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |problem| AddressError { address: text.to_owned(), problem };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| error("no scheme"))?;
        match scheme {
            "unix" if rest.is_empty() => Err(error("no path")),
            "unix" => Ok(Self::Unix(rest.into())),
            "tcp" => {
                let (host, port) = rest.rsplit_once(':').ok_or_else(|| error("no port"))?;
                let port = port.parse().map_err(|_| error("the port is not a number up to 65535"))?;
                let host = match host.strip_prefix('[') {
                    Some(host) => host.strip_suffix(']').ok_or_else(|| error("no closing bracket"))?,
                    None if host.contains(':') => {
                        return Err(error("an IPv6 address stands in brackets: tcp:[::1]:9000"));
                    }
                    None => host,
                };
                if host.is_empty() {
                    return Err(error("no host"));
                }
                Ok(Self::Tcp { host: host.to_owned(), port })
            }
            _ => Err(error("unknown scheme")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

/// A text that is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is no address ({problem}); use unix:PATH or tcp:HOST:PORT")]
pub struct AddressError {
    address: String,
    problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_are_written() {
        for text in ["unix:/run/nova.sock", "tcp:localhost:9000", "tcp:[::1]:0", "tcp:10.0.0.1:65535"] {
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
            ("http:host:1", "unknown scheme"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(problem) && error.contains("use unix:PATH"), "{error}");
        }
    }
}
