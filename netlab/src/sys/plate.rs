//! What a process in a machine tells other programs of its user: lines in an anonymous file that it holds, to be found in `/proc/PID/fd`.
//!
//! It costs two system calls and a descriptor, has no name on any disk, and goes with the process, however that ends.

use std::fs::File;
use std::io::{self, Write};
use std::sync::OnceLock;

use super::channel::anonymous_file;

/// What the link in `/proc/PID/fd` says.
pub(crate) const LINK: &str = "/memfd:netlab-plate (deleted)";

static PLATE: OnceLock<File> = OnceLock::new();

/// One for a process that shares its memory with another: it lasts as long as the value.
pub(crate) fn new(line: &str) -> io::Result<File> {
    let mut plate = anonymous_file("netlab-plate")?;
    writeln!(plate, "{}", line.replace('\n', " "))?;
    Ok(plate)
}

/// One for the calling process, until its end. A process that cannot have it does without.
pub(crate) fn hang(line: &str) {
    if let Ok(plate) = new(line) {
        PLATE.get_or_init(|| plate);
    }
}

/// Adds a line.
pub(crate) fn note(line: &str) {
    if let Some(mut plate) = PLATE.get() {
        // At once, as another thread may do the same.
        plate.write_all(format!("{}\n", line.replace('\n', " ")).as_bytes()).unwrap_or_default();
    }
}
