//! A namespace's name for other programs.

use std::os::fd::AsFd;
use std::panic::Location;
use std::path::PathBuf;

use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::sys::{machine_is_ours, namespace};

impl Netns {
    /// Gives the namespace its name for other programs of the machine: `ip netns exec NAME`, `nsenter --net=/run/netns/NAME`. It then lives
    /// as long as the machine, or until `ip netns delete NAME`.
    ///
    /// Equals `ip netns attach NAME PID`.
    ///
    /// # Errors
    ///
    /// Outside of a machine that netlab made, as the file would outlive the test ([`is_invalid_input`](Error::is_invalid_input)); if the name
    /// is not one of a file; if there is such a file ([`is_exists`](Error::is_exists)).
    #[track_caller]
    pub fn attach(&self) -> Result<()> {
        let here = Location::caller();
        let what = || format!("attach namespace `{}`", self.name());
        let refuse = |why: &str| Err(Error::invalid(what(), why)).at(here);
        if !machine_is_ours() {
            return refuse("/run/netns is not a machine's own here: the name would outlive the test");
        }
        if matches!(self.name(), "." | "..") {
            return refuse("a file in /run/netns cannot have that name");
        }
        namespace::pin(self.as_fd(), &PathBuf::from("/run/netns").join(self.name())).doing(what).at(here)
    }
}
