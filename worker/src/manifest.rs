//! The hashes that name content.

use nova_proto_core::messages::Digest;

/// The hash of a file's text.
#[must_use]
pub fn content_hash(text: &str) -> Digest {
    cut(blake3::hash(text.as_bytes()))
}

/// The digest of a manifest: what a shard holds, in 16 bytes. The files must come sorted by the bytes of their paths.
pub fn manifest_digest<'a>(files: impl IntoIterator<Item = (&'a str, Digest)>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for (path, hash) in files {
        hasher.update(path.as_bytes()).update(&[0]).update(&hash);
    }
    cut(hasher.finalize())
}

fn cut(hash: blake3::Hash) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(&hash.as_bytes()[..size_of::<Digest>()]);
    digest
}
