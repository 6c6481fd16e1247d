//! What an error of TLS means, and what to do.

use std::io;
use std::path::Path;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::shown;

/// Says what `error` means to who talks to `peer` and trusts the certificates that `ca` has issued.
pub(super) fn explain(error: &io::Error, peer: &str, ca: Option<&Path>) -> io::Error {
    let text = match tls_error(error) {
        Some(Error::InvalidCertificate(problem)) => certificate(problem, peer, ca),
        Some(Error::AlertReceived(alert)) => received(*alert, peer),
        Some(Error::NoCertificatesPresented) => {
            format!(
                "{peer} shows no certificate, and one is asked for here (--tls-client-cert, --tls-client-key)"
            )
        }
        Some(Error::NoApplicationProtocol) => {
            format!(
                "{peer} speaks TLS, but not nova/3 in it: {peer} is another program, or one in between ends TLS"
            )
        }
        Some(Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        )) => {
            format!("{peer} does not speak TLS; is its address tcp: and not tcp+tls:?")
        }
        Some(Error::PeerIncompatible(problem)) => {
            format!("{peer} has no TLS 1.3 with algorithms that are known here ({problem:?})")
        }
        Some(error) => format!("TLS failed: {error}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            format!("{peer} closed the connection within TLS; is its address tcp: and not tcp+tls:?")
        }
        None => return io::Error::new(error.kind(), error.to_string()),
    };
    io::Error::new(error.kind(), text)
}

/// Whether the peer has ended TLS because of what this side is, or lacks: another attempt meets the same.
#[must_use]
pub fn is_refusal(error: &io::Error) -> bool {
    matches!(tls_error(error), Some(Error::AlertReceived(_)))
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn certificate(problem: &CertificateError, peer: &str, ca: Option<&Path>) -> String {
    let what = match problem {
        CertificateError::UnknownIssuer => match ca {
            Some(ca) => format!("was not issued by the CA in {}; give the CA that has issued it", shown(ca)),
            None => "was not issued by a CA that is known here".to_owned(),
        },
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            format!("has expired {} ago; renew it", span(ago))
        }
        CertificateError::Expired => "has expired; renew it".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => {
            let to_come = not_before.as_secs().saturating_sub(time.as_secs());
            format!("is valid only in {}; is the clock right?", span(to_come))
        }
        CertificateError::NotValidYet => "is not valid yet; is the clock right?".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = match presented.as_slice() {
                [] => "no name at all: a subjectAltName is needed".to_owned(),
                names => names.join(", "),
            };
            format!(
                "is not for {}, but for {names}; connect by one of its names, or give one with --tls-domain",
                expected.to_str()
            )
        }
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            "was not issued for this purpose; its extendedKeyUsage needs serverAuth for a router, clientAuth for a worker"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "has a signature that is wrong: another CA of the same name has issued it".to_owned()
        }
        problem => format!("cannot be used: {}", Error::InvalidCertificate(problem.clone())),
    };
    format!("the certificate of {peer} {what}")
}

fn received(alert: AlertDescription, peer: &str) -> String {
    let what = match alert {
        AlertDescription::CertificateRequired => {
            "asks for a certificate; give one with --tls-client-cert and --tls-client-key".to_owned()
        }
        AlertDescription::UnknownCA => "does not know the CA that has issued our certificate".to_owned(),
        AlertDescription::CertificateExpired => {
            "does not accept our certificate: it has expired, or is not valid yet".to_owned()
        }
        AlertDescription::CertificateRevoked => {
            "does not accept our certificate: it has been revoked".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            format!(
                "does not accept our certificate ({alert:?}): it is not for this name or purpose, or is damaged"
            )
        }
        AlertDescription::DecryptError => {
            "does not accept our certificate: another CA of the same name has issued it, or the key is wrong"
                .to_owned()
        }
        AlertDescription::NoApplicationProtocol => {
            "speaks TLS, but not nova/3: it is no Nova router".to_owned()
        }
        AlertDescription::ProtocolVersion => "has no TLS 1.3".to_owned(),
        AlertDescription::UnrecognisedName => "does not serve this name; see --tls-domain".to_owned(),
        alert => format!("has ended TLS: {alert:?}"),
    };
    format!("{peer} {what}")
}

/// A time in words, in its largest unit.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
