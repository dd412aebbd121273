//! An image, unpacked: a directory with all that its programs need.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::{Error, Result};
use crate::toolbox;

/// What `/etc/os-release` of the image says.
pub(crate) const RELEASE: &str = "NAME=\"From Scratch\"\nID=scratch\n";

/// A directory that can be the root of a container: the [`toolbox`] under all its names, the libraries that it needs, an `/etc/os-release`,
/// and empty directories to mount to.
#[derive(Debug)]
pub(crate) struct Image(PathBuf);

impl Image {
    /// Unpacks it into a directory that is not there yet.
    pub(crate) fn unpack(path: &str) -> Result<Self> {
        let image = Self(path.into());
        image.fill().map_err(|e| Error::World(format!("cannot unpack an image into {path}: {e}")))?;
        Ok(image)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn fill(&self) -> io::Result<()> {
        for directory in ["bin", "etc", "lib", "mnt", "proc", "usr"] {
            fs::create_dir_all(self.0.join(directory))?;
        }
        for (name, target) in [("lib64", "lib"), ("usr/lib", "../lib"), ("usr/lib64", "../lib")] {
            symlink(target, self.0.join(name))?;
        }
        fs::write(self.0.join("etc/os-release"), RELEASE)?;
        // Shown at another place, not copied: with its line tables it is large.
        let binary = self.0.join("bin/toolbox");
        fs::write(&binary, "")?;
        bind(&toolbox::program()?, &binary)?;
        toolbox::NAMES.iter().try_for_each(|name| symlink("toolbox", self.0.join("bin").join(name)))?;
        libraries()?.iter().try_for_each(|library| self.add_library(library))
    }

    /// Copies a library, with the names by which it is known where it comes from.
    fn add_library(&self, library: &Path) -> io::Result<()> {
        let (Some(name), Some(home)) = (library.file_name(), library.parent()) else { return Ok(()) };
        let here = self.0.join("lib");
        fs::copy(library, here.join(name))?;
        // The loader of programs is looked for in these two, wherever it lies.
        for directory in [home, Path::new("/lib64"), Path::new("/lib")] {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let leads_to_it = || fs::read_link(entry.path()).is_ok_and(|target| target.file_name() == Some(name));
                if entry.file_type()?.is_symlink() && leads_to_it() && !here.join(entry.file_name()).exists() {
                    symlink(name, here.join(entry.file_name()))?;
                }
            }
        }
        Ok(())
    }
}

/// The libraries of this process, and so of the tour's binary, which is built with the same ones.
fn libraries() -> io::Result<BTreeSet<PathBuf>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let files = maps.lines().filter_map(|line| line.find('/').map(|start| PathBuf::from(&line[start..])));
    Ok(files.filter(|file| file.file_name().is_some_and(|name| name.to_string_lossy().contains(".so"))).collect())
}

/// Shows a file at the place of another.
#[cfg(target_os = "linux")]
fn bind(file: &Path, over: &Path) -> io::Result<()> {
    use nix::mount::{MsFlags, mount};
    const NOTHING: Option<&str> = None;
    Ok(mount(Some(file), over, NOTHING, MsFlags::MS_BIND, NOTHING)?)
}

#[cfg(not(target_os = "linux"))]
fn bind(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_loader_and_its_libraries() {
        let libraries = libraries().unwrap();
        assert!(libraries.iter().all(|library| library.is_file()), "{libraries:?}");
    }
}
