//! The rules of the host's packet filter, as the text adds and deletes them.

use netlab::FilterRule;

use crate::error::Result;
use crate::world::World;

/// The policy of FORWARD that Docker leaves on a host.
pub(super) const DOCKER: &str = "Docker's policy of FORWARD";
/// The rule of stage 22.
pub(super) const MASQUERADE: &str = "MASQUERADE on eth0";

/// `iptables --append FORWARD --in-interface FROM --out-interface TO --jump ACCEPT`
pub(super) fn accept(w: &mut World, from: &str, to: &str) -> Result<()> {
    let rule = FilterRule::accept(&w.host()).forward().on(from).out(to).install()?;
    w.keep(name(from, to), rule);
    Ok(())
}

/// `iptables --delete FORWARD --in-interface FROM --out-interface TO --jump ACCEPT`
pub(super) fn delete(w: &mut World, from: &str, to: &str) -> Result<()> {
    Ok(w.take::<FilterRule>(&name(from, to))?.close()?)
}

/// The rule that accepts what goes from one interface to another.
pub(super) fn rule<'w>(w: &'w World, from: &str, to: &str) -> Result<&'w FilterRule> {
    w.kept(&name(from, to))
}

fn name(from: &str, to: &str) -> String {
    format!("FORWARD from {from} to {to}")
}
