//! Compiles the C half of a benchmark.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A source below `benches`, compiled into `folder`.
pub(crate) fn c(source: &str, folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(source);
    let binary = folder.join("floor");
    let status = Command::new("cc").args(["-O2", "-o"]).arg(&binary).arg(&source).status()?;
    if status.success() { Ok(binary) } else { Err(format!("cc could not compile {}", source.display()).into()) }
}
