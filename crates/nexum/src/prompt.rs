//! What is asked on the terminal, and not shown there.

use std::{
    fs::File,
    io::{self, IsTerminal as _},
};

use nexum_identity::Password;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Asks for a password. `None` where there is nobody to ask: standard error, where what goes wrong
/// is told, is no terminal.
pub(crate) fn password(question: &str) -> Result<Option<Password>, Failure> {
    if !io::stderr().is_terminal() {
        return Ok(None);
    }
    typed(question).map(Password::new).map(Some)
}

/// Asks for a key, or for what one comes from. `None` where standard input is not typed.
pub(crate) fn key(question: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    typed(question).map(Zeroizing::new).map(Some)
}

fn typed(question: &str) -> Result<String, Failure> {
    // Before the question: whoever types as soon as it is there is not shown either.
    let _hidden = Hidden::set();
    rpassword::prompt_password(question)
        .map_err(|error| Failure::other("what is typed could not be read", error))
}

/// The terminal shows nothing of what is typed, until this is dropped.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    /// `None` where there is no terminal to set; whoever reads from it then says so.
    fn set() -> Option<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty");
        let terminal = terminal.ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &hidden).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // It may be gone, and then nothing is left to set.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
