//! What the processes of one test tell each other.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::sys::machine::{Denied, Step};
use crate::sys::process::Status;

/// From the machine to the harness, before there is a test to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// A fresh machine stands by.
    Machine,
    /// The kernel will have none.
    Denied(Denied),
}

/// From the harness to the machine, with the descriptors of the working directory, standard output, standard error and the report, and
/// one more if the environment differs from what the zygote started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// Where the test's `Case` lies, measured from that of the zygote's.
    pub(super) distance: isize,
}

/// From the machine to the harness, when the body and all that it started are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) status: Status,
    /// Where the body was when its time was up.
    pub(super) hung: Option<String>,
}

/// From the body to the harness: somebody may look around before the test goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pausing {
    /// The clock stands still until the file is gone.
    Begins {
        /// Where it lies.
        file: String,
        /// What whoever runs the test is told, with [`PID`](crate::evidence::PID) for the process id of the body.
        text: String,
    },
    Over,
}

impl Pausing {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Begins { file, text } => format!("p{file}\0{text}").into_bytes(),
            Self::Over => b"r".to_vec(),
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (b'p', rest) => {
                let rest = String::from_utf8_lossy(rest).into_owned();
                let (file, text) = rest.split_once('\0')?;
                Some(Self::Begins { file: file.to_owned(), text: text.to_owned() })
            }
            (b'r', _) => Some(Self::Over),
            _ => None,
        }
    }
}

/// From the body to the harness, in the report file: it outlives its writer and has no size limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// The function returned, and this is its exit code.
    Returned(u8),
    /// The function panicked with this message, if it was text.
    Panicked(Option<String>),
    /// The fixtures of a body that passed could not be undone.
    Leftovers(String),
    /// The kernel lacks what the test needs.
    Unsupported(String),
    /// The body could not be started.
    Unstarted(String),
}

impl Ready {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Machine => vec![b'M'],
            Self::Denied(denied) => [&[b'D', denied.step as u8][..], &denied.errno.to_ne_bytes()].concat(),
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'M'] => Some(Self::Machine),
            [b'D', step, errno @ ..] => {
                let step = *Step::ALL.get(usize::from(*step))?;
                Some(Self::Denied(Denied { step, errno: i32::from_ne_bytes(errno.try_into().ok()?) }))
            }
            _ => None,
        }
    }
}

impl Request {
    pub(super) fn encode(self) -> Vec<u8> {
        self.distance.to_ne_bytes().to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self { distance: isize::from_ne_bytes(bytes.try_into().ok()?) })
    }
}

impl Ended {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, number) = match self.status {
            Status::Exited(code) => (b'e', code),
            Status::Killed(signal) => (b'k', signal),
        };
        let hung = self.hung.as_deref().map(|hung| [b"h", hung.as_bytes()].concat()).unwrap_or_default();
        [&[kind][..], &number.to_ne_bytes(), &hung].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (number, hung) = rest.split_at_checked(4)?;
        let number = i32::from_ne_bytes(number.try_into().ok()?);
        let status = if *kind == b'e' { Status::Exited(number) } else { Status::Killed(number) };
        let hung = hung.split_first().map(|(_, text)| String::from_utf8_lossy(text).into_owned());
        Some(Self { status, hung })
    }
}

impl Report {
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let (kind, text) = match self {
            Self::Returned(code) => (b'r', vec![*code]),
            Self::Panicked(Some(message)) => (b'p', message.clone().into_bytes()),
            Self::Panicked(None) => (b'P', Vec::new()),
            Self::Leftovers(text) => (b'l', text.clone().into_bytes()),
            Self::Unsupported(text) => (b'u', text.clone().into_bytes()),
            Self::Unstarted(text) => (b's', text.clone().into_bytes()),
        };
        file.write_all_at(&[&[kind], &text[..]].concat(), 0)
    }

    /// What the body left, if it came to that; the file is then ready for the next.
    pub(super) fn take(file: &mut File) -> io::Result<Option<Self>> {
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(file, &mut bytes)?;
        file.set_len(0)?;
        let Some((kind, rest)) = bytes.split_first() else { return Ok(None) };
        let text = || String::from_utf8_lossy(rest).into_owned();
        Ok(match kind {
            b'r' => rest.first().map(|code| Self::Returned(*code)),
            b'p' => Some(Self::Panicked(Some(text()))),
            b'P' => Some(Self::Panicked(None)),
            b'l' => Some(Self::Leftovers(text())),
            b'u' => Some(Self::Unsupported(text())),
            b's' => Some(Self::Unstarted(text())),
            _ => None,
        })
    }
}

/// A duration as the user writes it: `10s`, `250ms`, `2m`.
pub(super) fn human(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_comes_out_as_it_went_in() -> io::Result<()> {
        for step in Step::ALL {
            let ready = Ready::Denied(Denied { step, errno: libc::EPERM });
            assert_eq!(Ready::decode(&ready.encode()), Some(ready));
        }
        assert_eq!(Ready::decode(&Ready::Machine.encode()), Some(Ready::Machine));
        let request = Request { distance: -123_456_789 };
        assert_eq!(Request::decode(&request.encode()), Some(request));
        for ended in [
            Ended { status: Status::Exited(3), hung: None },
            Ended { status: Status::Killed(11), hung: Some(String::new()) },
            Ended { status: Status::Killed(9), hung: Some("asleep".to_owned()) },
        ] {
            assert_eq!(Ended::decode(&ended.encode()), Some(ended));
        }
        for pausing in [Pausing::Begins { file: "/tmp/paused".to_owned(), text: "two\nlines".to_owned() }, Pausing::Over] {
            assert_eq!(Pausing::decode(&pausing.encode()), Some(pausing));
        }
        assert_eq!(Pausing::decode(&Ended { status: Status::Exited(0), hung: None }.encode()), None);
        let mut file = crate::sys::channel::anonymous_file("netlab-test")?;
        for report in [Report::Panicked(Some("a long message".to_owned())), Report::Returned(7), Report::Panicked(None)] {
            report.write(&file)?;
            assert_eq!(Report::take(&mut file)?, Some(report));
            assert_eq!(Report::take(&mut file)?, None);
        }
        Ok(())
    }

    #[test]
    fn a_duration_reads_as_it_is_written() {
        for (ms, text) in [(10_000, "10s"), (250, "250ms"), (120_000, "2m"), (90_000, "90s")] {
            assert_eq!(human(Duration::from_millis(ms)), text);
        }
    }
}
