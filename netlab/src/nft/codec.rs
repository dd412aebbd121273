//! Tables, chains, rules and sets to attributes and back.

use netlink_packet_core::NLA_F_NESTED;

use super::data::Data;
use super::expr::Expr;
use super::family::{Family, TableName};
use super::message::Message;
use super::object::{Base, Chain, Element, Hits, Object, Rule, Set, Table};
use super::userdata;
use super::wire::{Attribute, Writer, attribute, attributes};

const POLICY_ACCEPT: u32 = 1;

pub(crate) fn write_table(w: &mut Writer, table: &TableName, flags: u32, comment: Option<&str>) {
    w.put(1, &table.name);
    w.put(2, &flags);
    if let Some(comment) = comment {
        w.bytes(6, &userdata::entry(userdata::COMMENT, comment));
    }
}

pub(crate) fn read_table(message: &Message) -> Option<Table> {
    let a = &message.attributes;
    Some(Table {
        family: Family::from_number(message.family)?,
        name: attribute(a, 1)?,
        flags: attribute(a, 2).unwrap_or(0),
        handle: attribute(a, 4).unwrap_or(0),
        comment: attribute::<Vec<u8>>(a, 6).and_then(|data| userdata::text(&data, userdata::COMMENT)),
        objects: Vec::new(),
        sets: Vec::new(),
        chains: Vec::new(),
    })
}

pub(crate) fn write_chain(w: &mut Writer, table: &TableName, chain: &Chain) {
    w.put(1, &table.name);
    w.put(3, &chain.name);
    if let Some(base) = &chain.base {
        w.nest(4, |w| write_hook(w, table.family, base));
        w.put(5, &u32::from(base.accept));
        w.put(7, &base.kind);
    }
    if let Some(hits) = chain.counter {
        w.nest(8, |w| write_hits(w, hits));
    }
    if let Some(comment) = &chain.comment {
        w.bytes(12, &userdata::entry(userdata::COMMENT, comment));
    }
}

pub(crate) fn write_hits(w: &mut Writer, hits: Hits) {
    w.put(1, &hits.bytes);
    w.put(2, &hits.packets);
}

fn write_hook(w: &mut Writer, family: Family, base: &Base) {
    // A hook that the family lacks is for the kernel to refuse.
    w.put(1, &family.hook_number(base.hook).unwrap_or(u32::MAX));
    w.put(2, &base.priority);
    match base.devices.as_slice() {
        [] => {}
        [device] => w.put(3, device),
        devices => w.nest(4, |w| devices.iter().for_each(|device| w.put(1, device))),
    }
}

/// The table's name and the chain.
pub(crate) fn read_chain(message: &Message) -> Option<(TableName, Chain)> {
    let a = &message.attributes;
    let table = TableName { family: Family::from_number(message.family)?, name: attribute(a, 1)? };
    let base = attribute::<Vec<u8>>(a, 4).and_then(|hook| {
        let number = attribute(&hook, 1)?;
        let devices = attribute::<Vec<u8>>(&hook, 4).unwrap_or_default();
        let mut devices: Vec<String> = attributes(&devices).filter_map(|(_, name)| String::get(name)).collect();
        if devices.is_empty() {
            devices.extend(attribute::<String>(&hook, 3));
        }
        Some(Base {
            kind: attribute(a, 7)?,
            hook: table.family.hook_name(number).unwrap_or("unknown"),
            priority: attribute(&hook, 2)?,
            devices,
            accept: attribute(a, 5).unwrap_or(POLICY_ACCEPT) == POLICY_ACCEPT,
        })
    });
    let chain = Chain {
        name: attribute(a, 3)?,
        handle: attribute(a, 2).unwrap_or(0),
        base,
        comment: attribute::<Vec<u8>>(a, 12).and_then(|data| userdata::text(&data, userdata::COMMENT)),
        counter: attribute::<Vec<u8>>(a, 8).map(|c| Hits { bytes: attribute(&c, 1).unwrap_or(0), packets: attribute(&c, 2).unwrap_or(0) }),
        rules: Vec::new(),
    };
    Some((table, chain))
}

pub(crate) fn write_rule(w: &mut Writer, table: &str, chain: &str, rule: &Rule) {
    w.put(1, &table.to_owned());
    w.put(2, &chain.to_owned());
    w.put(4, &rule.exprs);
    if let Some((protocol, flags)) = rule.compat {
        w.nest(5, |w| {
            w.put(1, &protocol);
            w.put(2, &flags);
        });
    }
    if let Some(comment) = &rule.comment {
        w.bytes(7, &userdata::entry(userdata::COMMENT, comment));
    }
}

/// The table's and the chain's name, and the rule.
pub(crate) fn read_rule(message: &Message) -> Option<(TableName, String, Rule)> {
    let a = &message.attributes;
    let table = TableName { family: Family::from_number(message.family)?, name: attribute(a, 1)? };
    let rule = Rule {
        handle: attribute(a, 3).unwrap_or(0),
        exprs: attribute(a, 4).unwrap_or_default(),
        comment: attribute::<Vec<u8>>(a, 7).and_then(|data| userdata::text(&data, userdata::COMMENT)),
        compat: attribute::<Vec<u8>>(a, 5).and_then(|compat| Some((attribute(&compat, 1)?, attribute(&compat, 2).unwrap_or(0)))),
        ..Rule::default()
    };
    Some((table, attribute(a, 2)?, rule))
}

pub(crate) fn write_set(w: &mut Writer, table: &str, set: &Set) {
    w.put(1, &table.to_owned());
    w.put(2, &set.name);
    w.put(3, &set.flags);
    w.put(4, &set.key_type);
    w.put(5, &set.key_len);
    let mut optional = |kind: u16, value: Option<u32>| {
        if let Some(value) = value {
            w.put(kind, &value);
        }
    };
    optional(6, set.data_type);
    optional(7, set.data_len);
    optional(8, set.policy);
    optional(10, Some(set.id));
    optional(12, set.gc_interval);
    optional(15, set.object_type);
    if set.size.is_some() || !set.fields.is_empty() {
        w.nest(9, |w| write_description(w, set));
    }
    if let Some(timeout) = set.timeout {
        w.put(11, &timeout);
    }
    if !set.userdata.is_empty() {
        w.bytes(13, &set.userdata);
    }
    write_expressions(w, 17, 18, &set.exprs);
}

fn write_description(w: &mut Writer, set: &Set) {
    if let Some(size) = set.size {
        w.put(1, &size);
    }
    if !set.fields.is_empty() {
        w.nest(2, |w| set.fields.iter().for_each(|length| w.nest(1, |w| w.put(1, length))));
    }
}

/// One expression has an attribute of its own, several are a list: older kernels know the first form only.
fn write_expressions(w: &mut Writer, one: u16, several: u16, exprs: &[Expr]) {
    match exprs {
        [] => {}
        [expression] => w.put(one, expression),
        exprs => w.put(several, &exprs.to_vec()),
    }
}

fn read_expressions(bytes: &[u8], one: u16, several: u16) -> Vec<Expr> {
    attribute::<Expr>(bytes, one).map(|expression| vec![expression]).or_else(|| attribute(bytes, several)).unwrap_or_default()
}

/// The table's name and the set, without its elements.
pub(crate) fn read_set(message: &Message) -> Option<(TableName, Set)> {
    let a = &message.attributes;
    let table = TableName { family: Family::from_number(message.family)?, name: attribute(a, 1)? };
    let description: Vec<u8> = attribute(a, 9).unwrap_or_default();
    let fields: Vec<u8> = attribute(&description, 2).unwrap_or_default();
    let set = Set {
        name: attribute(a, 2)?,
        handle: attribute(a, 16).unwrap_or(0),
        id: 0,
        flags: attribute(a, 3).unwrap_or(0),
        key_type: attribute(a, 4).unwrap_or(0),
        key_len: attribute(a, 5).unwrap_or(0),
        data_type: attribute(a, 6),
        data_len: attribute(a, 7),
        object_type: attribute(a, 15),
        policy: attribute(a, 8),
        size: attribute(&description, 1),
        fields: attributes(&fields).filter_map(|(_, field)| attribute(field, 1)).collect(),
        timeout: attribute(a, 11),
        gc_interval: attribute(a, 12),
        userdata: attribute(a, 13).unwrap_or_default(),
        exprs: read_expressions(a, 17, 18),
        elements: Vec::new(),
    };
    Some((table, set))
}

pub(crate) fn write_elements(w: &mut Writer, table: &str, set: &Set, elements: &[Element]) {
    w.put(1, &table.to_owned());
    w.put(2, &set.name);
    w.put(4, &set.id);
    w.nest(3, |w| elements.iter().for_each(|element| w.nest(1, |w| write_element(w, element))));
}

fn write_element(w: &mut Writer, element: &Element) {
    let value = |key: &Vec<u8>| Data::Value(key.clone());
    if let Some(key) = &element.key {
        w.put(1, &value(key));
    }
    if let Some(data) = &element.data {
        w.put(2, data);
    }
    if element.flags != 0 {
        w.put(3, &element.flags);
    }
    if let Some(timeout) = element.timeout {
        w.put(4, &timeout);
    }
    if !element.userdata.is_empty() {
        w.bytes(6, &element.userdata);
    }
    if let Some(object) = &element.object {
        w.put(9, object);
    }
    if let Some(key) = &element.key_end {
        w.put(10, &value(key));
    }
    write_expressions(w, 7, 11, &element.exprs);
}

pub(crate) fn read_elements(message: &Message) -> Vec<Element> {
    let list: Vec<u8> = attribute(&message.attributes, 3).unwrap_or_default();
    attributes(&list).map(|(_, element)| read_element(element)).collect()
}

fn read_element(a: &[u8]) -> Element {
    let key = |kind| attribute::<Data>(a, kind).and_then(|data| data.value().map(<[u8]>::to_vec));
    Element {
        key: key(1),
        key_end: key(10),
        data: attribute(a, 2),
        flags: attribute(a, 3).unwrap_or(0),
        timeout: attribute(a, 4),
        expiration: attribute(a, 5),
        userdata: attribute(a, 6).unwrap_or_default(),
        object: attribute(a, 9),
        exprs: read_expressions(a, 7, 11),
    }
}

pub(crate) fn write_object(w: &mut Writer, table: &str, object: &Object) {
    w.put(1, &table.to_owned());
    w.put(2, &object.name);
    w.put(3, &object.kind);
    w.bytes(4 | NLA_F_NESTED, &object.data);
}

/// The table's name and the named counter, quota or limit.
pub(crate) fn read_object(message: &Message) -> Option<(TableName, Object)> {
    let a = &message.attributes;
    let table = TableName { family: Family::from_number(message.family)?, name: attribute(a, 1)? };
    let object = Object {
        name: attribute(a, 2)?,
        handle: attribute(a, 6).unwrap_or(0),
        kind: attribute(a, 3)?,
        data: attribute(a, 4).unwrap_or_default(),
    };
    Some((table, object))
}
