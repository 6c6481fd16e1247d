//! The shared secret between router and workers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use subtle::ConstantTimeEq;

use crate::bounded;

/// Longest token, in bytes.
const MAX_TOKEN: usize = 1024;

/// A shared secret: shown nowhere, and compared in a time that tells nothing but its length.
#[derive(Clone, Serialize)]
pub struct Token(String);

impl Token {
    /// The environment variable that the programs take it from.
    pub const VARIABLE: &str = "NOVA_AUTH_TOKEN";

    /// The secret itself, to hand it on.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What makes it useless as a token; `None` if nothing does.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        match self.0.len() {
            0 => Some("is empty"),
            1..=MAX_TOKEN => None,
            _ => Some("is longer than 1,024 bytes"),
        }
    }

    pub(super) fn deserialize_optional<'de, D: Deserializer<'de>>(
        decoder: D,
    ) -> Result<Option<Self>, D::Error> {
        Ok(bounded::optional_text::<_, MAX_TOKEN>(decoder)?.map(Self))
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        bounded::text::<_, MAX_TOKEN>(decoder).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{WorkerHello, decode, encode};

    #[test]
    fn it_travels_and_is_never_shown() {
        let hello = WorkerHello { token: Some("s3cret".into()), ..WorkerHello::default() };
        assert!(!format!("{hello:?}").contains("s3cret"), "{hello:?}");
        assert_eq!(format!("{:?}", Token::from("s3cret")), "Token(..)");
        let received: WorkerHello = decode(&encode(&hello)).expect("decodes");
        assert_eq!(received.token.as_ref().map(Token::reveal), Some("s3cret"));
        assert_eq!(received, hello);
        for other in ["s3creT", "s3cre", "s3cret2", ""] {
            assert_ne!(received.token, Some(other.into()));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_known_before() {
        assert_eq!(Token::from("").fault(), Some("is empty"));
        assert_eq!(Token::from("x".repeat(MAX_TOKEN).as_str()).fault(), None);
        let long = Token::from("x".repeat(MAX_TOKEN + 1).as_str());
        assert_eq!(long.fault(), Some("is longer than 1,024 bytes"));
        let hello = WorkerHello { token: Some(long), ..WorkerHello::default() };
        assert!(decode::<WorkerHello>(&encode(&hello)).is_err());
    }
}
