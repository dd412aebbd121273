//! A pause of a test: its lab stays as it is, and its clock stands still, while somebody looks around.

use std::env;
use std::fs;
use std::io;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::{Subject, collect, folder};
use crate::live::nsenter;
use crate::netns::lock;
use crate::sys;

/// Stands for the process id of the test, which has another number where the commands are typed.
pub(crate) const PID: &str = "<pid>";
/// Between two looks at whether the file is there still: somebody who types does not notice it.
const LOOK: Duration = Duration::from_millis(50);
/// What the connection to the harness carries.
const TEXT_BYTES: usize = 24 * 1024;

/// A pause that begins.
#[derive(Debug)]
pub(crate) struct Pause {
    /// The test goes on when this file is gone.
    pub(crate) file: String,
    pub(crate) text: String,
}

/// Tells whoever runs the test of the beginning of a pause, or of its end.
pub(crate) type Pauser = Box<dyn Fn(Option<Pause>) -> io::Result<()> + Send>;

static PAUSER: Mutex<Option<(Subject, Pauser)>> = Mutex::new(None);

pub(super) fn through(subject: Subject, pauser: Pauser) {
    *lock(&PAUSER) = Some((subject, pauser));
}

/// Stops a `#[netlab::test]` here, and says on standard error by which commands a shell in each of its machines is had.
///
/// The commands need no root, only the same user; each works in another terminal as it is printed. The test goes on when Enter is pressed in
/// its own terminal, or when the file that is named beside the commands is removed. Its timeout does not count meanwhile. Where `CI` is set,
/// and outside of a `#[netlab::test]`, nothing happens.
///
/// `NETLAB_PAUSE=fail cargo test NAME` does the same at the place where a test fails.
#[track_caller]
pub fn pause() {
    let here = Location::caller();
    if env::var_os("CI").is_none_or(|ci| ci.is_empty()) {
        wait(&format!("it asked for a pause at {}:{}", here.file(), here.line()));
    }
}

/// Waits until somebody has looked around.
pub(super) fn wait(why: &str) {
    // One at a time; others that fail meanwhile wait for this lock, with their labs as they are.
    let pauser = lock(&PAUSER);
    let Some((subject, tell)) = &*pauser else { return };
    let file = match place(subject) {
        Ok(file) => file,
        Err(e) => return eprintln!("netlab: no pause: {e}"),
    };
    let text = text(subject, why, &file);
    if let Err(e) = tell(Some(Pause { file: file.display().to_string(), text })) {
        eprintln!("netlab: no pause: {e}");
    } else {
        sys::plate::note(&format!("pause {}", file.display()));
        while file.exists() {
            thread::sleep(LOOK);
        }
        sys::plate::note("resume");
        tell(None).unwrap_or_default();
    }
    fs::remove_file(&file).unwrap_or_default();
    // A test that passes leaves no folder.
    file.ancestors().skip(1).take_while(|folder| fs::remove_dir(folder).is_ok()).for_each(drop);
}

/// A file in the folder of the test's evidence, else among the temporary ones.
fn place(subject: &Subject) -> io::Result<PathBuf> {
    let asked = env::var_os("NETLAB_EVIDENCE").filter(|asked| asked != "0");
    if let Ok(folder) = folder::of(subject.path, asked.as_deref())
        && fs::create_dir_all(&folder).is_ok()
        && fs::write(folder.join("paused"), "").is_ok()
    {
        return Ok(folder.join("paused"));
    }
    let file = env::temp_dir().join(format!("netlab-paused-{}", subject.path.replace("::", "-")));
    fs::write(&file, "")?;
    Ok(file)
}

fn text(subject: &Subject, why: &str, file: &std::path::Path) -> String {
    let mut text = format!("\nnetlab: {} is paused: {why}\n", subject.path);
    let doors = collect::doors();
    let width = doors.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or_default();
    for (place, (name, network, mounts)) in doors.iter().enumerate() {
        // The first is the machine itself, in which the test's process is.
        let network = if place == 0 { "-n".to_owned() } else { format!("--net=/proc/{PID}/fd/{network}") };
        let mounts = mounts.map(|mounts| format!("--mount=/proc/{PID}/fd/{mounts}"));
        let command = nsenter(PID, &network, mounts.as_deref(), sys::machine_is_ours());
        let line = format!("  {name:width$}  {command}\n");
        if text.len() + line.len() > TEXT_BYTES {
            text.push_str(&format!("  (and {} more)\n", doors.len() - place));
            break;
        }
        text.push_str(&line);
    }
    text + &format!("  it goes on when you press Enter here, or by: rm {}\n", file.display())
}
