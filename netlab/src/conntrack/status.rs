//! What has become of a connection so far, as bits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `IPS_*` (include/uapi/linux/netfilter/nf_conntrack_common.h).
const WORDS: &[(u32, &str)] = &[
    (1 << 0, "EXPECTED"),
    (1 << 1, "SEEN_REPLY"),
    (1 << 2, "ASSURED"),
    (1 << 3, "CONFIRMED"),
    (1 << 4, "SRC_NAT"),
    (1 << 5, "DST_NAT"),
    (1 << 6, "SEQ_ADJUST"),
    (1 << 7, "SRC_NAT_DONE"),
    (1 << 8, "DST_NAT_DONE"),
    (1 << 9, "DYING"),
    (1 << 10, "FIXED_TIMEOUT"),
    (1 << 11, "TEMPLATE"),
    (1 << 12, "NAT_CLASH"),
    (1 << 13, "HELPER"),
    (1 << 14, "OFFLOAD"),
    (1 << 15, "HW_OFFLOAD"),
];

/// What has become of a connection so far. It prints the kernel's words, such as `SEEN_REPLY,ASSURED,CONFIRMED,SRC_NAT`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Status(pub(super) u32);

impl Status {
    /// Whether the bit of that word, such as `SRC_NAT`, is set; false for a word that is none.
    pub fn has(self, word: &str) -> bool {
        WORDS.iter().any(|(bit, known)| *known == word && self.0 & bit != 0)
    }

    /// All bits, as `IPS_*` numbers them.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The far side has answered.
    pub fn seen_reply(self) -> bool {
        self.has("SEEN_REPLY")
    }

    /// It has seen packets both ways and is kept when the table is full.
    pub fn assured(self) -> bool {
        self.has("ASSURED")
    }

    /// The source is translated.
    pub fn src_nat(self) -> bool {
        self.has("SRC_NAT")
    }

    /// The destination is translated.
    pub fn dst_nat(self) -> bool {
        self.has("DST_NAT")
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = WORDS.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, word)| *word).collect();
        f.write_str(&words.join(","))
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        status.to_string()
    }
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.split(',').filter(|word| !word.is_empty()).try_fold(Self(0), |all, word| {
            let bit = WORDS.iter().find(|(_, known)| *known == word).map(|(bit, _)| bit);
            bit.map(|bit| Self(all.0 | bit)).ok_or_else(|| format!("`{word}` is no status of a connection"))
        })
    }
}
