//! Which program this is.

use std::fs::File;
use std::io;

use nova_proto_core::messages::Digest;

/// Name and version, as they are told to clients.
pub const BUILD: &str = concat!("nova ", env!("CARGO_PKG_VERSION"));

/// The content hash of this program's file: two builds differ in it, whatever they call themselves.
///
/// # Errors
/// If the system does not tell where the file lies, or it cannot be read.
pub fn build_id() -> io::Result<Digest> {
    // What runs, also when another file has taken its name since.
    let file = File::open("/proc/self/exe").or_else(|_| File::open(std::env::current_exe()?))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    Ok(id)
}
