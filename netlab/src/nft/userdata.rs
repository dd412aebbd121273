//! What user space stores beside an object for itself: one byte of kind, one of length, the value. nft reads and writes it.

/// A comment, of tables, chains, rules and set elements.
pub(crate) const COMMENT: u8 = 0;
/// Whether the key of a set is in host (1) or network (2) byte order.
pub(crate) const SET_KEY_BYTEORDER: u8 = 0;
/// The same for the values of a map.
pub(crate) const SET_DATA_BYTEORDER: u8 = 1;
/// Whether overlapping elements are merged.
pub(crate) const SET_MERGE: u8 = 2;
/// Whether a map gives ranges.
pub(crate) const SET_DATA_INTERVAL: u8 = 6;
/// A comment of a set.
pub(crate) const SET_COMMENT: u8 = 7;

/// The value of the first entry of that kind.
pub(crate) fn find(mut data: &[u8], kind: u8) -> Option<&[u8]> {
    while let [k, length, rest @ ..] = data {
        let (value, next) = rest.split_at_checked(usize::from(*length))?;
        if *k == kind {
            return Some(value);
        }
        data = next;
    }
    None
}

pub(crate) fn text(data: &[u8], kind: u8) -> Option<String> {
    let value = find(data, kind)?.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// A number, which nft keeps in host byte order.
pub(crate) fn number(data: &[u8], kind: u8) -> Option<u32> {
    find(data, kind)?.try_into().ok().map(u32::from_ne_bytes)
}

/// An entry of text. What is longer than the kernel keeps (256 bytes with all entries) is cut.
pub(crate) fn entry(kind: u8, text: &str) -> Vec<u8> {
    const LONGEST: usize = 250;
    let end = (0..=text.len().min(LONGEST)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let value = &text.as_bytes()[..end];
    let mut entry = vec![kind, u8::try_from(end + 1).unwrap_or(u8::MAX)];
    entry.extend_from_slice(value);
    entry.push(0);
    entry
}

pub(crate) fn number_entry(kind: u8, number: u32) -> Vec<u8> {
    let mut entry = vec![kind, 4];
    entry.extend_from_slice(&number.to_ne_bytes());
    entry
}
