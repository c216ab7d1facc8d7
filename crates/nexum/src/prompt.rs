//! What is asked on the terminal, and not shown there.

use std::io::{self, IsTerminal as _};

use nexum_identity::Password;

use crate::exit::Failure;

/// Asks for a password. `None` where there is nobody to ask: standard error, where the question
/// goes, is no terminal.
pub(crate) fn password(question: &str) -> Result<Option<Password>, Failure> {
    if !io::stderr().is_terminal() {
        return Ok(None);
    }
    let typed = rpassword::prompt_password(question)
        .map_err(|error| Failure::other("the password could not be read", error))?;
    Ok(Some(Password::new(typed)))
}
