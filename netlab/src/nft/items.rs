//! The elements of a set, from the kernel's form and to it: padded fields, host byte order, intervals as two elements.

use super::data::Data;
use super::object::{Element, Set, element_flags, set_flags};
use super::statement::{Gives, Item, Items, Key, Span};
use super::types::DataType;
use super::userdata;

/// How the fields of a key lie in the kernel's element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    bytes: usize,
    host: bool,
}

impl Layout {
    pub(super) fn of_key(key: &Key) -> Self {
        let part = |key: &Key| Part { bytes: key.bytes(), host: key.is_host_order() };
        Self(match key {
            Key::Concat(keys) => keys.iter().map(part).collect(),
            key => vec![part(key)],
        })
    }

    pub(super) fn of_types(types: &[DataType], bytes: usize, host_integer: bool) -> Self {
        let part = |data_type: &DataType| Part {
            bytes: data_type.bytes().unwrap_or(if types.len() == 1 { bytes } else { 4 }),
            host: data_type.is_host_order() || host_integer && *data_type == DataType::Integer,
        };
        Self(types.iter().map(part).collect())
    }

    /// The layout of a declared set.
    pub(super) fn of_set(set: &Set) -> Self {
        let host = userdata::number(&set.userdata, userdata::SET_KEY_BYTEORDER) == Some(1);
        Self::of_types(&DataType::split(set.key_type), set.key_len as usize, host)
    }

    fn of_data(set: &Set) -> Self {
        let host = userdata::number(&set.userdata, userdata::SET_DATA_BYTEORDER) == Some(1);
        Self::of_types(&DataType::split(set.data_type.unwrap_or(0)), set.data_len.unwrap_or(0) as usize, host)
    }

    fn length(&self) -> usize {
        match self.0.as_slice() {
            [one] => one.bytes,
            several => several.iter().map(|part| part.bytes.next_multiple_of(4)).sum(),
        }
    }

    /// The fields of a key, big-endian. Intervals are big-endian in the kernel already.
    fn unpack(&self, mut bytes: &[u8], interval: bool) -> Vec<Vec<u8>> {
        let mut fields = Vec::new();
        for part in &self.0 {
            let length = part.bytes.min(bytes.len());
            let mut field = bytes[..length].to_vec();
            if part.host && !interval {
                field.reverse();
            }
            fields.push(field);
            bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
        }
        fields
    }

    /// The fields side by side as the kernel wants them.
    pub(super) fn pack<'a>(&self, fields: impl IntoIterator<Item = &'a Vec<u8>>, interval: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (field, part) in fields.into_iter().zip(&self.0) {
            let mut field = field.clone();
            field.resize(part.bytes, 0);
            if part.host && !interval {
                field.reverse();
            }
            if self.0.len() > 1 {
                field.resize(part.bytes.next_multiple_of(4), 0);
            }
            bytes.extend_from_slice(&field);
        }
        bytes
    }
}

/// The elements of a set, sorted, as nft would list them.
pub(super) fn items(set: &Set, layout: &Layout) -> Items {
    let data_types = match set.data_type {
        Some(number) if set.is(set_flags::MAP) && number < 0xffff_ff00 => DataType::split(number),
        _ => Vec::new(),
    };
    let data_layout = Layout::of_data(set);
    let is_interval = set.is(set_flags::INTERVAL) && layout.0.len() < 2;
    let mut items = if is_interval { intervals(set) } else { points(set, layout) };
    for (item, element) in &mut items {
        item.gives = gives(element, &data_layout, set.data_type);
        item.timeout = element.timeout;
        item.expires = element.expiration;
        item.comment = userdata::text(&element.userdata, userdata::COMMENT);
        item.exprs = element.exprs.clone();
    }
    items.sort_by_cached_key(|(item, _)| (item.key.is_empty(), order(item, &DataType::split(set.key_type), is_interval)));
    Items { items: items.into_iter().map(|(item, _)| item).collect(), data_types }
}

/// What nft sorts by. It takes names for numbers in host byte order, so that shorter ones come first, unless the set has intervals; and of
/// several flags it looks at the first.
fn order(item: &Item, types: &[DataType], interval: bool) -> Vec<Span> {
    let mut key = item.key.clone();
    for ((from, _), data_type) in key.iter_mut().zip(types) {
        if *data_type == DataType::IfName && !interval {
            from.resize(16, 0);
            from.reverse();
        }
        if let (true, [flags]) = (data_type.is_flags(), from.as_mut_slice()) {
            *flags &= flags.wrapping_neg();
        }
    }
    key
}

fn gives(element: &Element, layout: &Layout, data_type: Option<u32>) -> Option<Gives> {
    if let Some(object) = &element.object {
        return Some(Gives::Object(object.clone()));
    }
    match element.data.as_ref()? {
        Data::Verdict(verdict) => Some(Gives::Verdict(verdict.clone())),
        Data::Value(value) => {
            data_type?;
            // A map to nets gives the first and the last address of each.
            let whole = layout.length();
            let (from, to) = value.split_at(if value.len() == 2 * whole { whole } else { value.len() });
            let mut to = layout.unpack(to, false).into_iter();
            let from = layout.unpack(from, false).into_iter();
            Some(Gives::Values(from.map(|field| (field, to.next().filter(|to| !to.is_empty()))).collect()))
        }
    }
}

fn points<'a>(set: &'a Set, layout: &Layout) -> Vec<(Item, &'a Element)> {
    let interval = set.is(set_flags::INTERVAL);
    let item = |element: &'a Element| {
        let from = element.key.as_ref().map(|key| layout.unpack(key, interval)).unwrap_or_default();
        let to = element.key_end.as_ref().map(|key| layout.unpack(key, interval)).unwrap_or_default();
        let mut to = to.into_iter();
        let key = from.into_iter().map(|from| {
            let to = to.next().filter(|to| *to != from);
            (from, to)
        });
        (Item { key: key.collect(), ..Item::default() }, element)
    };
    set.elements.iter().filter(|element| element.flags & element_flags::INTERVAL_END == 0).map(item).collect()
}

fn intervals(set: &Set) -> Vec<(Item, &Element)> {
    let mut ends: Vec<(&Vec<u8>, bool, &Element)> = Vec::new();
    let mut items = Vec::new();
    for element in &set.elements {
        match &element.key {
            Some(key) => ends.push((key, element.flags & element_flags::INTERVAL_END == 0, element)),
            None => items.push((Item::default(), element)),
        }
    }
    ends.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let mut open: Option<(&Vec<u8>, &Element)> = None;
    for (key, starts, element) in ends {
        if let Some((from, element)) = open.take() {
            items.push((interval(from, before(key)), element));
        }
        if starts {
            open = Some((key, element));
        }
    }
    if let Some((from, element)) = open {
        items.push((interval(from, vec![0xff; from.len()]), element));
    }
    items
}

fn interval(from: &[u8], to: Vec<u8>) -> Item {
    if from == to { Item::value(to) } else { Item::range(from.to_vec(), to) }
}

/// The value before a big-endian one.
fn before(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    for byte in value.iter_mut().rev() {
        let (less, borrow) = byte.overflowing_sub(1);
        *byte = less;
        if !borrow {
            break;
        }
    }
    value
}

/// The value after a big-endian one, unless it is the last.
fn after(value: &[u8]) -> Option<Vec<u8>> {
    let mut value = value.to_vec();
    for byte in value.iter_mut().rev() {
        let (more, carry) = byte.overflowing_add(1);
        *byte = more;
        if !carry {
            return Some(value);
        }
    }
    None
}

/// The kernel's elements for the items of a set with these flags.
pub(super) fn elements(items: &Items, layout: &Layout, flags: u32) -> Vec<Element> {
    let interval = flags & set_flags::INTERVAL != 0;
    let data_layout = Layout::of_types(&items.data_types, 4, false);
    let mut sorted: Vec<&Item> = items.items.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut elements = Vec::new();
    for (place, item) in sorted.iter().enumerate() {
        let from = layout.pack(item.key.iter().map(|(from, _)| from), interval);
        let to = layout.pack(item.key.iter().map(|(from, to)| to.as_ref().unwrap_or(from)), interval);
        let catch_all = item.key.is_empty();
        let start = Element {
            key: (!catch_all).then(|| from.clone()),
            key_end: (interval && layout.0.len() > 1 && !catch_all).then(|| to.clone()),
            data: data(item, &data_layout),
            object: match &item.gives {
                Some(Gives::Object(name)) => Some(name.clone()),
                _ => None,
            },
            flags: if catch_all { element_flags::CATCH_ALL } else { 0 },
            timeout: item.timeout,
            userdata: item.comment.as_ref().map(|text| userdata::entry(userdata::COMMENT, text)).unwrap_or_default(),
            exprs: item.exprs.clone(),
            ..Element::default()
        };
        if !interval || layout.0.len() > 1 || catch_all {
            elements.push(start);
            continue;
        }
        let end = |key: Vec<u8>| Element { key: Some(key), flags: element_flags::INTERVAL_END, ..Element::default() };
        // nft closes the space before the first interval, and so does iptables: the kernel's listing is the same.
        if place == 0 && from.iter().any(|byte| *byte != 0) {
            elements.push(end(vec![0; from.len()]));
        }
        elements.push(start);
        let next = sorted.get(place + 1).map(|next| layout.pack(next.key.iter().map(|(from, _)| from), interval));
        elements.extend(after(&to).filter(|key| next.as_ref() != Some(key)).map(end));
    }
    elements
}

fn data(item: &Item, layout: &Layout) -> Option<Data> {
    match item.gives.as_ref()? {
        Gives::Verdict(verdict) => Some(Data::Verdict(verdict.clone())),
        Gives::Values(fields) => {
            let mut value = layout.pack(fields.iter().map(|(from, _)| from), false);
            if fields.iter().any(|(_, to)| to.is_some()) {
                value.extend(layout.pack(fields.iter().map(|(from, to)| to.as_ref().unwrap_or(from)), false));
            }
            Some(Data::Value(value))
        }
        Gives::Object(_) => None,
    }
}
