//! Sets, maps, their elements, and named objects.

use std::fmt::Write;

use super::super::expr::Expr;
use super::super::items::{Layout, items};
use super::super::lift::lift;
use super::super::object::{Object, Set, set_flags};
use super::super::statement::{Gives, Item, Span};
use super::super::types::DataType;
use super::super::userdata;
use super::Context;
use super::statement::object_word;
use super::value::duration;

impl Context<'_> {
    /// One element, with what a map gives for it.
    pub(super) fn item(&self, item: &Item, types: &[DataType], data_types: &[DataType]) -> String {
        let mut text = if item.key.is_empty() { "*".to_owned() } else { self.fields(&item.key, types) };
        text += &self.stateful(&item.exprs);
        if let Some(timeout) = item.timeout {
            text += &format!(" timeout {}", duration(timeout));
        }
        if let Some(expires) = item.expires.filter(|_| self.options.counters) {
            text += &format!(" expires {}", duration(expires));
        }
        if let Some(comment) = &item.comment {
            text += &format!(" comment \"{comment}\"");
        }
        match &item.gives {
            None => {}
            Some(Gives::Verdict(verdict)) => text += &format!(" : {}", self.verdict(verdict)),
            Some(Gives::Values(values)) => text += &format!(" : {}", self.fields(values, data_types)),
            Some(Gives::Object(name)) => text += &format!(" : \"{name}\""),
        }
        text
    }

    fn fields(&self, fields: &[Span], types: &[DataType]) -> String {
        let types = types.iter().copied().chain(std::iter::repeat(DataType::Integer));
        let field = |((from, to), data_type): (&Span, DataType)| match to {
            Some(to) => self.range(data_type, from, to),
            None if data_type.is_flags() => self.value(data_type, from).replace(',', " | "),
            None => self.value(data_type, from),
        };
        fields.iter().zip(types).map(field).collect::<Vec<_>>().join(" . ")
    }

    pub(super) fn set(&self, set: &Set) -> String {
        let word = if set.is(set_flags::MAP | set_flags::OBJECT) { "map" } else { "set" };
        let mut text = format!("\t{word} {} {{{}\n", set.name, self.handle(set.handle));
        let mut line = |line: String| writeln!(text, "\t\t{line}").unwrap_or_default();
        line(format!("type {}", declared_type(set)));
        if !set.is(set_flags::CONSTANT) {
            if set.policy == Some(1) {
                line("policy memory".to_owned());
            }
            if let Some(size) = set.size {
                line(format!("size {size}"));
            }
        }
        let flags = [
            (set_flags::CONSTANT, "constant"),
            (set_flags::DYNAMIC, "dynamic"),
            (set_flags::INTERVAL, "interval"),
            (set_flags::TIMEOUT, "timeout"),
        ];
        let flags: Vec<_> = flags.iter().filter(|(flag, _)| set.is(*flag)).map(|(_, word)| *word).collect();
        // nft leaves out `flags timeout` where a timeout says it.
        if set.flags & (set_flags::CONSTANT | set_flags::DYNAMIC | set_flags::INTERVAL) != 0
            || flags == ["timeout"] && set.timeout.is_none()
        {
            line(format!("flags {}", flags.join(",")));
        }
        for statement in lift(self.family, &set.exprs, &[]) {
            line(self.statement(&statement));
        }
        if let Some(timeout) = set.timeout {
            line(format!("timeout {}", duration(timeout)));
        }
        if let Some(interval) = set.gc_interval.filter(|interval| *interval != 0) {
            line(format!("gc-interval {}", duration(u64::from(interval))));
        }
        if userdata::number(&set.userdata, userdata::SET_MERGE).is_some_and(|merge| merge != 0) {
            line("auto-merge".to_owned());
        }
        if let Some(comment) = userdata::text(&set.userdata, userdata::SET_COMMENT) {
            line(format!("comment \"{comment}\""));
        }
        if !set.elements.is_empty() {
            line(format!("elements = {{ {} }}", self.elements(set)));
        }
        text.push_str("\t}\n");
        text
    }

    /// As many elements on a line as nft puts there for their type.
    fn elements(&self, set: &Set) -> String {
        const NEXT_LINE: &str = ",\n\t\t\t     ";
        let types = DataType::split(set.key_type);
        let list = items(set, &Layout::of_set(set));
        let per_line = match types.as_slice() {
            [T::Ipv4 | T::CtState | T::CtStatus | T::PacketType | T::ArpHardware] => 2,
            [one] if is_short(*one) => 5,
            _ => 1,
        };
        let mut text = String::new();
        for (place, item) in list.items.iter().enumerate() {
            if place > 0 {
                text += if place % per_line == 0 { NEXT_LINE } else { ", " };
            }
            text += &self.item(item, &types, &list.data_types);
        }
        text
    }

    pub(super) fn object(&self, object: &Object) -> String {
        let word = match object.kind {
            3 => "ct helper",
            7 => "ct timeout",
            9 => "ct expectation",
            kind => object_word(kind),
        };
        let state = read_state(object).map(|expression| lift(self.family, &[expression], &[]));
        let state = state.iter().flatten().map(|statement| self.statement(statement)).map(|text| {
            let text = text.strip_prefix(word).unwrap_or(&text).trim_start();
            if text.is_empty() { String::new() } else { format!("\t\t{text}\n") }
        });
        format!("\t{word} {} {{{}\n{}\t}}\n", object.name, self.handle(object.handle), state.collect::<String>())
    }
}

use DataType as T;

/// The type, and for a map the type of what it gives.
fn declared_type(set: &Set) -> String {
    let names = |number: u32| DataType::split(number).into_iter().map(DataType::name).collect::<Vec<_>>().join(" . ");
    let key = names(set.key_type);
    match (set.data_type, set.object_type) {
        (_, Some(kind)) if set.is(set_flags::OBJECT) => format!("{key} : {}", object_word(kind).trim_end_matches(" set")),
        (Some(number), _) if set.is(set_flags::MAP) && number >= 0xffff_ff00 => format!("{key} : verdict"),
        (Some(number), _) if set.is(set_flags::MAP) => format!("{key} : {}", names(number)),
        _ => key,
    }
}

fn is_short(data_type: DataType) -> bool {
    use DataType::{ArpOperation, CtDirection, DeviceGroup, Gid, Integer, Mark, NfProto, Protocol, Realm, Service, TcpFlag, Uid};
    match data_type {
        NfProto | Protocol | Service | TcpFlag | Mark | Uid | Gid | Integer | ArpOperation | CtDirection | Realm => true,
        DeviceGroup => false,
        _ => false,
    }
}

/// A named object's state has the attributes of the expression of the same name.
fn read_state(object: &Object) -> Option<Expr> {
    let name = match object.kind {
        1 => "counter",
        2 => "quota",
        4 => "limit",
        5 => "connlimit",
        _ => return None,
    };
    Expr::read_data(name, &object.data)
}
