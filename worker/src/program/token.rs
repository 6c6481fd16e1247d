//! The token on the command line.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nova_proto_core::messages::Token;

/// Flags for the shared secret; the same for router and worker.
#[derive(Debug, Clone, clap::Args)]
pub struct TokenArgs {
    /// The secret that router and workers share. Every user of this machine can see it in the list of processes: better
    /// set NOVA_AUTH_TOKEN, or give --auth-token-file
    #[arg(long, value_name = "TOKEN", env = Token::VARIABLE, hide_env_values = true, value_parser = any_text)]
    pub auth_token: Option<Token>,

    /// A file with the secret; white space around it does not count. Goes before --auth-token and NOVA_AUTH_TOKEN
    #[arg(long, value_name = "FILE")]
    pub auth_token_file: Option<PathBuf>,
}

/// Never fails: an error of the command line would show the secret.
fn any_text(text: &str) -> Result<Token, Infallible> {
    Ok(text.into())
}

impl TokenArgs {
    /// The token, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read, or the token cannot be sent; for people.
    pub fn read(&self) -> Result<Option<Token>, String> {
        let (token, place) = match &self.auth_token_file {
            Some(file) => (Some(read(file)?), file.display().to_string()),
            None => (self.auth_token.clone(), format!("--auth-token or {}", Token::VARIABLE)),
        };
        match token.as_ref().and_then(Token::fault) {
            Some(fault) => Err(format!("the token of {place} {fault}")),
            None => Ok(token),
        }
    }
}

fn read(file: &Path) -> Result<Token, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read the token in {}: {error}", file.display()))?;
    if let Ok(metadata) = file.metadata()
        && metadata.permissions().mode() & 0o077 != 0
    {
        tracing::warn!("other users can read the token in {0}; chmod 600 {0}", file.display());
    }
    Ok(text.trim().into())
}
