//! Plays the tutorials: a narrated tour on a real kernel network, or one line of JSON a stage.

mod book;
mod cli;
mod code;
mod fresh;
mod json;
mod page;
mod palette;
mod proof;
mod summary;
mod tour;

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    // In the image of a tutorial's container this program has other names.
    if let Some(code) = scenarios::toolbox::run() {
        return code;
    }
    match cli::run() {
        Ok(end) => end.into(),
        // The reader of a pipe has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: cannot write: {e}");
            cli::End::Differs.into()
        }
    }
}
