//! Lines of iptables and ip6tables: understood, and printed as `iptables -S` prints them.

// `words` splits a line, `command` reads it option by option into a `draft`, the tables in `modules` and `targets` say which options there
// are and what they mean, `values` reads what stands behind them;
// `print` goes the other way, and `install` makes fixtures of lines.

mod command;
mod draft;
mod given;
mod install;
mod modules;
mod print;
mod save;
mod targets;
mod values;
mod words;

#[cfg(test)]
mod tests;
