//! What the tests of TLS share: settings from files with real certificates.

pub(crate) mod certificates;

use std::path::{Path, PathBuf};

use certificates::{Authority, Issued, Use, Valid, write};
use nova_transport_tokio::{ClientTls, ClientTlsFiles, IdentityFiles, ServerTls, ServerTlsFiles};
use tempfile::TempDir;

/// A directory with a CA of routers and workers, a router's certificate for `localhost`, and a worker's.
pub(crate) struct Folder {
    directory: TempDir,
    pub(crate) ca: PathBuf,
    pub(crate) router: IdentityFiles,
    pub(crate) worker: IdentityFiles,
    pub(crate) authority: Authority,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new("Test CA");
        let ca = write(directory.path(), "ca.pem", &authority.pem);
        let router = pair(directory.path(), "router", &authority.issue("localhost", Use::Server, Valid::Now));
        let worker = pair(directory.path(), "worker", &authority.issue("worker-1", Use::Client, Valid::Now));
        Self { directory, ca, router, worker, authority }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write(self.path(), name, content)
    }

    /// Writes another certificate with its key.
    pub(crate) fn pair(&self, name: &str, issued: &Issued) -> IdentityFiles {
        pair(self.path(), name, issued)
    }

    /// The CA of somebody else.
    pub(crate) fn other_ca(&self) -> (Authority, PathBuf) {
        let other = Authority::new("Other CA");
        let file = self.write("other-ca.pem", &other.pem);
        (other, file)
    }

    pub(crate) fn client_files(&self) -> ClientTlsFiles {
        ClientTlsFiles { ca: self.ca.clone(), domain: None, identity: Some(self.worker.clone()) }
    }

    pub(crate) fn server_files(&self) -> ServerTlsFiles {
        ServerTlsFiles { identity: self.router.clone(), client_ca: Some(self.ca.clone()) }
    }

    pub(crate) fn client(&self) -> ClientTls {
        ClientTls::from_files(&self.client_files()).expect("good files")
    }

    pub(crate) fn server(&self) -> ServerTls {
        ServerTls::from_files(&self.server_files()).expect("good files")
    }
}

fn pair(directory: &Path, name: &str, issued: &Issued) -> IdentityFiles {
    IdentityFiles {
        certificate: write(directory, &format!("{name}.pem"), &issued.certificate),
        key: write(directory, &format!("{name}.key"), &issued.key),
    }
}
