//! What a line gives to one module: its options with their values.

use std::ops::Range;

use super::values::Read;
use super::words::{Word, Wrong};
use crate::nft::Family;

/// An option of a match or a target.
#[derive(Debug)]
pub(super) struct Opt {
    /// The first is the one that iptables prints.
    pub(super) names: &'static [&'static str],
    /// How many words follow.
    pub(super) values: usize,
    /// Whether a `!` may stand before it.
    pub(super) not: bool,
}

/// An option without a value that cannot be turned round.
pub(super) const fn flag(names: &'static [&'static str]) -> Opt {
    Opt { names, values: 0, not: false }
}

/// An option with a value.
pub(super) const fn value(names: &'static [&'static str]) -> Opt {
    Opt { names, values: 1, not: false }
}

impl Opt {
    /// The same, which can be turned round.
    pub(super) const fn or_not(self) -> Self {
        Self { not: true, ..self }
    }

    pub(super) fn name(&self) -> &'static str {
        self.names[0]
    }
}

/// A module that a line loads, and what the line says to it.
#[derive(Debug)]
pub(super) struct Given {
    /// As iptables writes it: `-m tcp`, `-j MARK`.
    pub(super) module: String,
    pub(super) at: Range<usize>,
    pub(super) options: Vec<GivenOption>,
}

#[derive(Debug)]
pub(super) struct GivenOption {
    pub(super) opt: &'static Opt,
    pub(super) not: bool,
    pub(super) at: Range<usize>,
    pub(super) values: Vec<Word>,
}

/// What is said outside the module.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) family: Family,
    /// The one of `-p`, without a `!`.
    pub(super) protocol: Option<u8>,
    pub(super) chain: String,
}

impl Given {
    pub(super) fn find(&self, name: &str) -> Option<&GivenOption> {
        self.options.iter().find(|option| option.opt.name() == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value of an option with one value.
    pub(super) fn word(&self, name: &str) -> Option<&Word> {
        self.find(name).and_then(|option| option.values.first())
    }

    pub(super) fn need(&self, name: &str) -> Read<(&Word, bool)> {
        let given = self.find(name).and_then(|option| Some((option.values.first()?, option.not)));
        given.ok_or_else(|| self.wrong(format!("`{}` needs `{name}`", self.module)))
    }

    /// One of several options, and no other of them.
    pub(super) fn one_of(&self, names: &[&str]) -> Read<&GivenOption> {
        let mut given = self.options.iter().filter(|option| names.contains(&option.opt.name()));
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            (Some(one), Some(other)) => Err(other.wrong(format!("`{}` and `{}` exclude each other", other.opt.name(), one.opt.name()))),
            (None, _) => Err(self.wrong(format!("`{}` needs one of {}", self.module, names.join(", ")))),
        }
    }

    pub(super) fn wrong(&self, why: impl Into<String>) -> Wrong {
        Wrong::new(self.at.clone(), why)
    }
}

impl GivenOption {
    pub(super) fn wrong(&self, why: impl Into<String>) -> Wrong {
        Wrong::new(self.at.clone(), why)
    }

    pub(super) fn word(&self) -> Read<&Word> {
        self.values.first().ok_or_else(|| self.wrong(format!("`{}` needs a value", self.opt.name())))
    }
}
