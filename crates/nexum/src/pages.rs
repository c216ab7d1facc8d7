//! `nexum completions` and `nexum man`: made from the command line itself.

use std::path::Path;

use clap::CommandFactory as _;

use crate::{cli::Cli, exit::Failure, output};

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nexum", &mut text);
    let text = String::from_utf8(text);
    output::print(&text.map_err(|error| Failure::other("the output could not be made", error))?)
}

pub(crate) fn manual(folder: &Path) -> Result<(), Failure> {
    clap_mangen::generate_to(Cli::command(), folder).map_err(|error| {
        let what = format!(
            "the manual pages could not be written into {}",
            folder.display()
        );
        Failure::other(&what, error)
    })
}
