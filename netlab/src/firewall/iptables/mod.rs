//! Lines of iptables and ip6tables: understood, and printed as `iptables -S` prints them.

// `words` splits a line, `command` reads it option by option into a `draft`, the tables in `modules` and `targets` say which options there
// are and what they mean, `values` reads what stands behind them.

mod command;
mod draft;
mod given;
mod modules;
mod print;
mod targets;
mod values;
mod words;

#[cfg_attr(not(test), allow(unused_imports, reason = "the fixtures are next"))]
pub(crate) use command::{Command, parse};
#[cfg_attr(not(test), allow(unused_imports, reason = "the fixtures are next"))]
pub(crate) use print::print;

#[cfg(test)]
mod tests;
