//! The application parts of a client's handshake.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bounded;
use crate::messages::Digest;

/// The number with which a [`ClientHello`] begins. A [`WorkerHello`](crate::messages::WorkerHello) begins with the number
/// of its ranges, at most 256, so that neither is taken for the other.
const FORM: u32 = 257;

/// What a client says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHello {
    /// Tells it from what others say.
    pub form: ClientForm,
    /// The program and its version.
    #[serde(deserialize_with = "bounded::text::<_, 128>")]
    pub build: String,
}

/// The number 257, and no other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientForm;

impl Serialize for ClientForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        FORM.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClientForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            FORM => Ok(Self),
            _ => Err(D::Error::custom("not what a client says")),
        }
    }
}

/// What a router says to a client that it lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientWelcome {
    /// Numbers this connection among the router's clients.
    pub client_id: u64,
    /// The router's process.
    pub pid: u32,
    /// The program and its version.
    #[serde(deserialize_with = "bounded::text::<_, 128>")]
    pub build: String,
    /// The content hash of the program's file: two builds of one version differ in it.
    pub build_id: Digest,
}
