//! What a test says it needs of the kernel, asked before its body runs.

use std::panic::Location;

use crate::error::{At, Doing, Error, Result};
use crate::feature::{Feature, Question};
use crate::host::Finding;
use crate::sys::{Refusal, feature, namespace};

/// Why the test cannot run here; `None` if it can.
pub(super) fn missing(needs: &[&str]) -> Option<String> {
    if needs.is_empty() {
        return None;
    }
    // In a network namespace that only the questions see: what they leave goes with it.
    let asked = namespace::create(|| Ok(needs.iter().filter_map(|name| ask(name)).collect::<Vec<String>>()));
    let missing = match asked {
        Ok((_, missing)) => missing,
        Err(e) => vec![format!("this kernel cannot be asked for what the test needs: {e}")],
    };
    (!missing.is_empty()).then(|| missing.join("\n"))
}

fn ask(name: &str) -> Option<String> {
    let Some(known) = Feature::named(name) else {
        return Some(format!(
            "the test needs `{name}`, of which this version of netlab knows nothing: are netlab and netlab-macros equal?"
        ));
    };
    let Finding { cause, cure } = lack(known)?;
    Some(format!(
        "the test needs `{name}`: {cause}
  help: {cure}"
    ))
}

/// What the kernel says when it is asked for the feature, in the calling thread's network namespace, and what helps; `None` if it has it.
pub(crate) fn lack(known: &Feature) -> Option<Finding> {
    let refusal = known.answer().err()?;
    Some(Finding { cause: format!("asked for {}, the kernel says: {refusal}", known.request()), cure: known.help(refusal.errno) })
}

/// Demands that the kernel has a feature, by its name in `needs(…)` of [`#[netlab::test]`](macro@crate::test), such as `wireguard`.
///
/// For code that learns at run time what it needs. The kernel itself is asked, in a network namespace that goes with the answer; it loads the
/// module, if it has it and loads modules on demand.
///
/// # Errors
///
/// If it has not, with what it said and the module that is missing: [`is_unsupported`](Error::is_unsupported), or
/// [`is_permission`](Error::is_permission) for a `/dev/net/tun` that the user may not open. [`is_invalid_input`](Error::is_invalid_input) for a
/// name of which netlab knows nothing.
#[track_caller]
pub fn needs(feature: &str) -> Result<()> {
    let here = Location::caller();
    demand(feature).at(here)
}

fn demand(name: &str) -> Result<()> {
    let what = || format!("have `{name}` of this kernel");
    let known = Feature::named(name).ok_or_else(|| Error::invalid(what(), "netlab knows no feature of that name"))?;
    let (_, answer) = namespace::create(|| Ok(known.answer())).doing(what)?;
    answer.map_err(|refusal| {
        let help = known.help(refusal.errno);
        Error::new(what(), refusal).fact(format!("asked for {}", known.request())).help(help)
    })
}

impl Feature {
    fn request(&self) -> String {
        let name = self.name;
        match self.question {
            Question::Link => format!("a link of type {name}"),
            Question::Qdisc => format!("a queueing discipline {name}"),
            Question::Tun => "the device /dev/net/tun".to_owned(),
            Question::Chain(kind) => format!("an nf_tables chain of type {kind}"),
            Question::Family(family) => format!("the generic netlink family {family}"),
            Question::Connections => "the list of connections".to_owned(),
            Question::Sysctl(key) => format!("/proc/sys/{key}"),
            Question::WritableSysctl(key) => format!("a writable /proc/sys/{key}"),
            Question::Overlay => "an overlay of two directories".to_owned(),
        }
    }

    fn answer(&self) -> Result<(), Refusal> {
        match self.question {
            Question::Link => feature::link(self.name),
            Question::Qdisc => feature::qdisc(self.name),
            Question::Tun => feature::tun(),
            Question::Chain(kind) => feature::chain(kind),
            Question::Family(family) => feature::family(family),
            Question::Connections => feature::connections(),
            Question::Sysctl(key) => feature::sysctl(key),
            Question::WritableSysctl(key) => feature::writable_sysctl(key),
            Question::Overlay => feature::overlay(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_feature_is_not_taken_for_one_that_is_there() {
        assert!(ask("warp").is_some_and(|why| why.contains("`warp`")));
        assert!(needs("warp").is_err_and(|e| e.is_invalid_input()));
    }

    #[test]
    fn a_family_of_generic_netlink_is_there_or_not() {
        feature::family("nlctrl").expect("it answers itself");
        let refusal = feature::family("warp").expect_err("nobody has it");
        assert_eq!(refusal.errno, libc::EOPNOTSUPP);
    }
}
