//! Lines of iptables as fixtures.

use std::panic::Location;

use super::super::change::Order;
use super::super::plan::{Plan, Target};
use super::super::rule::{Filter, Nat, PacketRule};
use super::super::{Policy, RuleChain};
use super::command::{Command, near_target, parse};
use super::print::print;
use super::words::Wrong;
use crate::error::{At, Error, Result};
use crate::netns::Netns;
use crate::nft::Family;
use crate::nft::transaction::Position;

/// The family of a line that names a program or an address is known; of others, it is IPv4.
fn understand(line: &str) -> Result<Command> {
    parse(line, None).map_err(|wrong| pointed("understand a line of iptables", &wrong, line))
}

/// The error that shows the line, and points at what is wrong.
pub(super) fn pointed(what: &str, wrong: &Wrong, line: &str) -> Error {
    let error = Error::invalid(what, &wrong.why).fact(wrong.shown_in(line));
    match &wrong.help {
        Some(help) => error.help(help),
        None => error,
    }
}

impl PacketRule<Nat> {
    /// Installs the rule of a line of iptables or ip6tables, of the table nat.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let host = netlab::Netns::new("host")?;
    /// use netlab::NatRule;
    /// let _nat = NatRule::iptables(&host, "-t nat -A POSTROUTING -s 172.18.0.0/24 ! -o cont-br0 -j MASQUERADE")?;
    /// # Ok(()) }
    /// ```
    ///
    /// It takes what iptables-save prints and what Docker, kube-proxy and Calico install, with or without `iptables` (or `sudo iptables`)
    /// before it. A line is for IPv6 if it begins with `ip6tables` or has an IPv6 address. The rule becomes one of nf_tables' own, not
    /// one of xtables: `nft list ruleset` reads it, `iptables -S` where it can.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for a line that iptables would refuse, or that says what nf_tables has no words for:
    /// the error shows the line, and points at the word. Otherwise as [`install`](crate::PacketRuleBuilder::install).
    #[track_caller]
    pub fn iptables(netns: &Netns, line: &str) -> Result<Self> {
        let here = Location::caller();
        from_line(netns, line, |plan| plan.table == "nat").at(here)
    }
}

impl PacketRule<Filter> {
    /// Installs the rule of a line of iptables or ip6tables, of the tables filter, mangle, raw or security.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let host = netlab::Netns::new("host")?;
    /// use netlab::FilterRule;
    /// let _back = FilterRule::iptables(&host, "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")?;
    /// # Ok(()) }
    /// ```
    ///
    /// It takes the lines that [`NatRule::iptables`](crate::NatRule::iptables) takes, for those tables.
    ///
    /// # Errors
    ///
    /// As [`NatRule::iptables`](crate::NatRule::iptables).
    #[track_caller]
    pub fn iptables(netns: &Netns, line: &str) -> Result<Self> {
        let here = Location::caller();
        from_line(netns, line, |plan| plan.table != "nat").at(here)
    }
}

impl<K> PacketRule<K> {
    /// The rule as `iptables -S` prints it, with `-t TABLE` before it if that is not filter; `ip6tables` stands before a rule for IPv6. Two
    /// lines for a rule that is in two chains.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) if iptables has no words for the rule: it is of another family, of another table, or
    /// spreads connections over several destinations.
    #[track_caller]
    pub fn as_iptables(&self) -> Result<String> {
        let here = Location::caller();
        let line = |plan: &Plan| {
            let why = |why: String| Error::invalid(format!("say the rule `{}` in words of iptables", plan.text()), why);
            in_words_of_iptables(plan).map_err(why)
        };
        let lines = self.rules().iter().map(|rule| line(&rule.plan)).collect::<Result<Vec<_>>>().at(here)?;
        Ok(lines.join("\n"))
    }
}

fn in_words_of_iptables(plan: &Plan) -> Result<String, String> {
    let program = match plan.family {
        Family::Ip => "",
        Family::Ip6 => "ip6tables ",
        other => return Err(format!("iptables is for IPv4 and for IPv6, and the rule is of the family {other}")),
    };
    let line = format!("{program}{}", print(plan)?);
    // Chains and tables of nf_tables may have names that iptables cannot have.
    parse(&line, Some(plan.family)).map_err(|wrong| wrong.why)?;
    Ok(line)
}

impl RuleChain {
    /// Makes the chain of a line such as `-t nat -N KUBE-SVC-WEB`.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for a line that makes no chain, or that iptables would refuse; otherwise as
    /// [`new`](Self::new).
    #[track_caller]
    pub fn iptables(netns: &Netns, line: &str) -> Result<Self> {
        let here = Location::caller();
        match understand(line).at(here)? {
            Command::NewChain { family, table, chain } => Self::of(netns, family, &table, &chain).at(here),
            other => Err(other.not_for("makes no chain", line).at(here)),
        }
    }
}

impl Policy {
    /// Sets the policy of a line such as `-P FORWARD DROP`.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for a line that sets no policy, or that iptables would refuse; otherwise as
    /// [`install`](crate::PolicyBuilder::install).
    #[track_caller]
    pub fn iptables(netns: &Netns, line: &str) -> Result<Self> {
        let here = Location::caller();
        match understand(line).at(here)? {
            Command::Policy { family, table, chain, accept } => {
                let policy = if accept { Self::accept(netns) } else { Self::drop(netns) };
                policy.family(family).table(table).chain(chain).install().at(here)
            }
            other => Err(other.not_for("sets no policy", line).at(here)),
        }
    }
}

impl Command {
    /// What the line is for instead.
    fn not_for(&self, why: &str, line: &str) -> Error {
        let fixture = match self {
            Self::Append(plan) | Self::Insert(plan, _) if plan.table == "nat" => "NatRule::iptables",
            Self::Append(_) | Self::Insert(..) => "FilterRule::iptables",
            Self::NewChain { .. } => "RuleChain::iptables",
            Self::Policy { .. } => "Policy::iptables",
        };
        Error::invalid("understand a line of iptables", format!("it {why}")).fact(line).help(format!("it is for `{fixture}`"))
    }
}

fn from_line<K>(netns: &Netns, line: &str, is_ours: impl Fn(&Plan) -> bool) -> Result<PacketRule<K>> {
    let command = understand(line)?;
    let order = match &command {
        Command::Append(plan) if is_ours(plan) => Order { plan: plan.clone(), position: Position::Last },
        Command::Insert(plan, place) if is_ours(plan) => Order { position: before(netns, plan, *place, line)?, plan: plan.clone() },
        Command::Append(plan) | Command::Insert(plan, _) => return Err(command.not_for(&format!("is for the table {}", plan.table), line)),
        _ => return Err(command.not_for("has no rule", line)),
    };
    install(netns, order).map_err(|error| error.fact(line))
}

fn install<K>(netns: &Netns, order: Order) -> Result<PacketRule<K>> {
    let meant = match &order.plan.target {
        Some(Target::Jump(chain)) => near_target(chain),
        _ => None,
    };
    PacketRule::install(netns, &[order], false).map_err(|error| match meant {
        Some(target) => error.help(format!("make that chain first, with `RuleChain::new`; or did you mean the target `{target}`?")),
        None => error,
    })
}

/// Where the rule with that number is now, counted from 1.
fn before(netns: &Netns, plan: &Plan, place: usize, line: &str) -> Result<Position> {
    if place == 1 {
        return Ok(Position::First);
    }
    let ruleset = netns.ruleset()?;
    let rules = ruleset.table(plan.family, &plan.table).and_then(|table| table.chain(&plan.chain)).map_or(&[][..], |chain| chain.rules());
    match rules.get(place - 1) {
        Some(rule) => Ok(Position::Before(rule.handle())),
        None if place == rules.len() + 1 => Ok(Position::Last),
        None => {
            let why = format!("the chain {} has {} rules, so that there is no place {place}", plan.chain, rules.len());
            Err(Error::invalid("understand a line of iptables", why).fact(line))
        }
    }
}
