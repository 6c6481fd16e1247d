//! What is wrong with files, told with the file and what to do.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

use std::process::Command;

use common::Folder;
use nova_transport_tokio::{ClientTls, ClientTlsFiles, IdentityFiles, ServerTls, ServerTlsFiles};

fn client_error(files: &ClientTlsFiles) -> String {
    ClientTls::from_files(files).expect_err("something is wrong").to_string()
}

fn server_error(files: &ServerTlsFiles) -> String {
    ServerTls::from_files(files).expect_err("something is wrong").to_string()
}

#[track_caller]
fn assert_says(error: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in: {error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn a_bad_ca_file_is_named() {
    let folder = Folder::new();
    let der = der_of(&folder.authority.pem);
    let key = std::fs::read(&folder.worker.key).expect("a key");
    let cut = &folder.authority.pem[..folder.authority.pem.len() / 2];
    let cases: [(&str, &[u8], &[&str]); 6] = [
        ("empty.pem", b"", &["has no certificate in it", "BEGIN CERTIFICATE"]),
        ("text.pem", b"hello", &["has no certificate in it"]),
        ("ca.der", &der, &["not in PEM form", "openssl x509 -inform der"]),
        ("key.pem", &key, &["a private key where a certificate is expected", "swapped"]),
        ("cut.pem", cut.as_bytes(), &["no valid PEM", "cut off"]),
        ("huge.pem", &vec![b'x'; (4 << 20) + 1], &["longer than 4 MiB"]),
    ];
    for (name, content, parts) in cases {
        let ca = folder.write(name, content);
        let error = client_error(&ClientTlsFiles { ca: ca.clone(), ..folder.client_files() });
        assert_says(&error, &[parts, &[name]].concat());
        let error = server_error(&ServerTlsFiles { client_ca: Some(ca), ..folder.server_files() });
        assert_says(&error, &[parts, &[name]].concat());
    }
    let error = client_error(&ClientTlsFiles { ca: folder.path().join("none.pem"), ..folder.client_files() });
    assert_says(&error, &["cannot read", "none.pem", "No such file"]);
    let error = client_error(&ClientTlsFiles { ca: folder.path().to_owned(), ..folder.client_files() });
    assert_says(&error, &["cannot read", "directory"]);
}

#[test]
fn a_bad_key_is_named() {
    let folder = Folder::new();
    let encrypted = |arguments: &[&str]| {
        let out = Command::new("openssl").args(arguments).arg("-in").arg(&folder.router.key).output();
        let out = out.expect("openssl runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let new = encrypted(&["pkcs8", "-topk8", "-passout", "pass:x"]);
    let old = encrypted(&["ec", "-aes128", "-passout", "pass:x"]);
    let der = encrypted(&["pkey", "-outform", "der"]);
    let certificate = std::fs::read(&folder.router.certificate).expect("a certificate");
    let cases: [(&str, &[u8], &[&str]); 5] = [
        ("new.key", &new, &["encrypted", "openssl pkey"]),
        ("old.key", &old, &["encrypted", "openssl pkey"]),
        ("der.key", &der, &["not in PEM form", "openssl pkey -inform der"]),
        ("swapped.key", &certificate, &["a certificate where a private key is expected", "swapped"]),
        ("empty.key", b"", &["no private key in it", "BEGIN PRIVATE KEY"]),
    ];
    for (name, content, parts) in cases {
        let key = folder.write(name, content);
        let identity = IdentityFiles { key, ..folder.router.clone() };
        let error = server_error(&ServerTlsFiles { identity: identity.clone(), ..folder.server_files() });
        assert_says(&error, &[parts, &[name]].concat());
        let error = client_error(&ClientTlsFiles { identity: Some(identity), ..folder.client_files() });
        assert_says(&error, &[parts, &[name]].concat());
    }
}

#[test]
fn a_key_of_another_certificate_is_told() {
    let folder = Folder::new();
    let identity = IdentityFiles { key: folder.worker.key.clone(), ..folder.router.clone() };
    let parts = ["worker.key does not belong to the certificate in", "router.pem"];
    assert_says(
        &server_error(&ServerTlsFiles { identity: identity.clone(), ..folder.server_files() }),
        &parts,
    );
    assert_says(&client_error(&ClientTlsFiles { identity: Some(identity), ..folder.client_files() }), &parts);
}

#[test]
fn a_name_that_no_certificate_has_is_told() {
    let folder = Folder::new();
    let error =
        client_error(&ClientTlsFiles { domain: Some("not a name".to_owned()), ..folder.client_files() });
    assert_says(&error, &["`not a name`", "--tls-domain"]);
}

/// The bytes behind the first section.
fn der_of(pem: &str) -> Vec<u8> {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate").to_vec()
}
