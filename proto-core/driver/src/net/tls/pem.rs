//! Certificates and keys in files.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::{Error, InconsistentKeys, RootCertStore};

use super::shown;

/// No bundle of certificates is longer; what is, was not meant.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Where a certificate and its private key lie.
#[derive(Debug, Clone)]
pub struct IdentityFiles {
    /// The certificate in PEM form, and behind it those between it and the CA.
    pub certificate: PathBuf,
    /// Its private key in PEM form, not encrypted.
    pub key: PathBuf,
}

/// What is wrong with TLS settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFileError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", shown(.file))]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is no PEM file, or what is needed is not in it.
    #[error("{} {problem}", shown(.file))]
    Content {
        /// Which.
        file: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A certificate that is there is of no use.
    #[error("the certificate in {} cannot be used: {problem}", shown(.file))]
    Certificate {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The key belongs to another certificate.
    #[error("the key in {} does not belong to the certificate in {}; give the two files of one pair", shown(.key), shown(.certificate))]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// No certificate can be for this name.
    #[error("`{0}` is no name that a certificate can have; give the certificate's with --tls-domain")]
    Domain(String),
    /// The provider of algorithms has no TLS 1.3.
    #[error("TLS 1.3 is not possible here: {0}")]
    Provider(Error),
}

impl IdentityFiles {
    pub(super) fn read(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsFileError> {
        Ok((certificates(&self.certificate)?, key(&self.key)?))
    }

    /// Why a pair was not taken.
    pub(super) fn rejected(&self, error: Error) -> TlsFileError {
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsFileError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() }
            }
            error @ Error::InvalidCertificate(_) => {
                TlsFileError::Certificate { file: self.certificate.clone(), problem: error.to_string() }
            }
            error => content(&self.key, format!("holds a key that cannot be used: {error}")),
        }
    }
}

/// The certificates of CAs in a file.
pub(super) fn roots(file: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| TlsFileError::Certificate {
            file: file.to_owned(),
            problem: error.to_string(),
        })?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let bytes = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| not_pem(file, &error))?;
    if !found.is_empty() {
        return Ok(found);
    }
    Err(content(
        file,
        if PrivateKeyDer::from_pem_slice(&bytes).is_ok() {
            "holds a private key where a certificate is expected; are two files swapped?"
        } else if bytes.starts_with(&[0x30]) {
            "is not in PEM form; if it is DER: openssl x509 -inform der -in FILE -out FILE.pem"
        } else {
            "has no certificate in it; it needs one that begins with -----BEGIN CERTIFICATE-----"
        },
    ))
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let bytes = read(file)?;
    warn_if_others_can_read(file);
    // The newer form, and the one with a header in the section of an RSA key.
    if contains(&bytes, b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || contains(&bytes, b"Proc-Type: 4,ENCRYPTED")
    {
        let problem = "holds an encrypted key, and nobody is asked for a passphrase; decrypt it: openssl pkey -in FILE -out NEW";
        return Err(content(file, problem));
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(content(
            file,
            if CertificateDer::from_pem_slice(&bytes).is_ok() {
                "holds a certificate where a private key is expected; are two files swapped?"
            } else if bytes.starts_with(&[0x30]) {
                "is not in PEM form; if it is DER: openssl pkey -inform der -in FILE -out FILE.pem"
            } else {
                "has no private key in it; it needs one that begins with -----BEGIN PRIVATE KEY-----"
            },
        )),
        Err(error) => Err(not_pem(file, &error)),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsFileError> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| TlsFileError::Read { file: file.to_owned(), error })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(content(
            file,
            format!("is longer than {} MiB: it is no file of certificates", MAX_FILE >> 20),
        ));
    }
    Ok(bytes)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn not_pem(file: &Path, error: &pem::Error) -> TlsFileError {
    let problem = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end; is the file cut off?".to_owned(),
        error => error.to_string(),
    };
    content(file, format!("is no valid PEM file: {problem}"))
}

fn content(file: &Path, problem: impl Into<String>) -> TlsFileError {
    TlsFileError::Content { file: file.to_owned(), problem: problem.into() }
}

fn warn_if_others_can_read(file: &Path) {
    let Ok(metadata) = file.metadata() else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            "other users can read the private key {} (mode {mode:04o}); chmod 600 {}",
            shown(file),
            shown(file)
        );
    }
}
