//! What registers hold: values and verdicts.

use serde::Serialize;

use super::wire::{Attribute, Writer, attribute};

/// A place of 4 bytes in the register file of a rule; longer values take several in a row.
///
/// The kernel knows the same file under two names: `NFT_REG_1` to `4`, of 16 bytes each, and `NFT_REG32_00` to `15`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Register(pub(crate) u8);

impl Register {
    pub(crate) const VERDICT: Self = Self(0);
    pub(crate) const FIRST: Self = Self(4);
    const LAST: u8 = 19;

    /// The register after a value of `bytes`.
    pub(crate) fn after(self, bytes: usize) -> Self {
        Self(self.0.saturating_add(u8::try_from(bytes.div_ceil(4)).unwrap_or(u8::MAX)))
    }
}

impl Attribute for Register {
    fn put(&self, kind: u16, writer: &mut Writer) {
        let number = if self.0.is_multiple_of(4) { self.0 / 4 } else { self.0 - 4 + 8 };
        u32::from(number).put(kind, writer);
    }
    fn get(value: &[u8]) -> Option<Self> {
        let number = u8::try_from(u32::get(value)?).ok()?;
        let slot = match number {
            0..=4 => number * 4,
            8.. => number - 8 + 4,
            _ => return None,
        };
        (slot <= Self::LAST).then_some(Self(slot))
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Drop,
    Accept,
    Continue,
    Break,
    Return,
    Jump(String),
    Goto(String),
    Other(i32),
}

impl Verdict {
    fn code(&self) -> i32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Continue => -1,
            Self::Break => -2,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
            Self::Return => -5,
            Self::Other(code) => *code,
        }
    }
}

impl Attribute for Verdict {
    fn put(&self, kind: u16, writer: &mut Writer) {
        writer.nest(kind, |w| {
            w.put(1, &self.code());
            if let Self::Jump(chain) | Self::Goto(chain) = self {
                w.put(2, chain);
            }
        });
    }
    fn get(value: &[u8]) -> Option<Self> {
        let chain = || attribute(value, 2);
        Some(match attribute::<i32>(value, 1)? {
            0 => Self::Drop,
            1 => Self::Accept,
            -1 => Self::Continue,
            -2 => Self::Break,
            -3 => Self::Jump(chain()?),
            -4 => Self::Goto(chain()?),
            -5 => Self::Return,
            other => Self::Other(other),
        })
    }
}

/// What an expression or a set element carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Data {
    Value(Vec<u8>),
    Verdict(Verdict),
}

impl Default for Data {
    fn default() -> Self {
        Self::Value(Vec::new())
    }
}

impl Data {
    pub(crate) fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Value(value) => Some(value),
            Self::Verdict(_) => None,
        }
    }
}

impl Attribute for Data {
    fn put(&self, kind: u16, writer: &mut Writer) {
        writer.nest(kind, |w| match self {
            Self::Value(value) => w.put(1, value),
            Self::Verdict(verdict) => w.put(2, verdict),
        });
    }
    fn get(value: &[u8]) -> Option<Self> {
        attribute(value, 1).map(Self::Value).or_else(|| attribute(value, 2).map(Self::Verdict))
    }
}

impl From<Vec<u8>> for Data {
    fn from(value: Vec<u8>) -> Self {
        Self::Value(value)
    }
}

impl From<Verdict> for Data {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}
