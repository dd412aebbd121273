//! What a line has said so far, and what it makes together.

use std::ops::Range;

use super::super::plan::{Match, Plan, Recent, Target, Test};
use super::command::{Command, is_target, nothing_given};
use super::given::{Given, Opt, Scene};
use super::modules::{MODULES, Module};
use super::targets::{self, TARGETS, TargetModule};
use super::values::{self, Read};
use super::words::{Word, Wrong, nearest};
use crate::nft::Family;

/// The tables, and the chains that the kernel calls in them.
const TABLES: &[(&str, &[&str])] = &[
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
    ("raw", &["PREROUTING", "OUTPUT"]),
    ("security", &["INPUT", "FORWARD", "OUTPUT"]),
];
/// Chains in which a packet has no such interface, and why.
const WITHOUT_INTERFACE: &[(&str, &str, &str)] = &[
    ("-i", "OUTPUT", "its packets come from the machine itself"),
    ("-i", "POSTROUTING", "its packets may come from the machine itself"),
    ("-o", "PREROUTING", "its packets are not routed yet"),
    ("-o", "INPUT", "its packets stay in the machine"),
];
const LONGEST_CHAIN: usize = 28;

pub(super) fn is_table(name: &str) -> bool {
    TABLES.iter().any(|(table, _)| *table == name)
}

/// The names of all tables.
pub(super) fn tables() -> String {
    TABLES.iter().map(|(table, _)| *table).collect::<Vec<_>>().join(", ")
}

/// What to do with a chain.
#[derive(Debug)]
pub(super) enum Verb {
    Append,
    Insert(Option<Word>),
    NewChain,
    Policy(Word),
}

/// Where `-j` or `-g` leads.
#[derive(Debug)]
pub(super) enum Aim {
    Module(&'static TargetModule, Given),
    Jump(Word),
    Goto(Word),
}

/// `-s`, `-d`, `-i`, `-o` or `-p`, of which a line has one.
#[derive(Debug, Default)]
pub(super) struct Slot(Option<(bool, Word, Range<usize>)>);

impl Slot {
    pub(super) fn set(&mut self, option: &Word, not: bool, value: Word) -> Read<()> {
        match self.0.replace((not, value, option.at.clone())) {
            Some(_) => Err(option.wrong(format!("`{}` is said twice", option.text))),
            None => Ok(()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Draft {
    pub(super) family: Family,
    table: Option<Word>,
    verb: Option<(Verb, Word)>,
    pub(super) source: Slot,
    pub(super) destination: Slot,
    pub(super) input: Slot,
    pub(super) output: Slot,
    pub(super) protocol: Slot,
    pub(super) modules: Vec<(&'static Module, Given)>,
    pub(super) aim: Option<Aim>,
}

impl Draft {
    pub(super) fn new(family: Family) -> Self {
        let [source, destination, input, output, protocol] = [(); 5].map(|()| Slot::default());
        Self { family, table: None, verb: None, source, destination, input, output, protocol, modules: Vec::new(), aim: None }
    }

    pub(super) fn protocol_name(&self) -> &'static str {
        if self.family == Family::Ip6 { "IPv6" } else { "IPv4" }
    }

    pub(super) fn table(&mut self, option: &Word, name: Word) -> Read<()> {
        if !is_table(&name.text) {
            let wrong = name.wrong(format!("`{}` is none of the tables {}", name.text, tables()));
            let near = nearest(&name.text, TABLES.iter().map(|(table, _)| *table));
            return Err(near.map_or(wrong.clone(), |near| wrong.help(format!("did you mean `{near}`?"))));
        }
        match self.table.replace(name) {
            Some(_) => Err(option.wrong("a line is for one table")),
            None => Ok(()),
        }
    }

    /// The table that stands above the line.
    pub(super) fn table_of_text(&mut self, name: &str) -> Read<()> {
        let word = Word { text: name.to_owned(), at: 0..1 };
        self.table(&word.clone(), word)
    }

    pub(super) fn verb(&mut self, option: &Word, verb: Verb, chain: Word) -> Read<()> {
        match self.verb.replace((verb, chain)) {
            Some(_) => Err(option.wrong("a line does one thing to one chain")),
            None => Ok(()),
        }
    }

    pub(super) fn aim(&mut self, option: &Word, to: Word, goto: bool) -> Read<()> {
        if self.aim.is_some() {
            return Err(option.wrong("a rule has one target"));
        }
        let target = TARGETS.iter().find(|target| target.name == to.text);
        self.aim = Some(match target {
            _ if targets::NOT_NATIVE.contains(&to.text.as_str()) => {
                let known = TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
                return Err(to.wrong(format!("netlab's rules have no target `{}`", to.text)).help(format!("they have {known}")));
            }
            Some(target) if goto => {
                return Err(to.wrong(format!("`{}` is a target and no chain", target.name)).help(format!("write `-j {}`", target.name)));
            }
            Some(target) => Aim::Module(target, nothing_given(format!("-j {}", target.name), to.at)),
            None if goto => Aim::Goto(to),
            None => Aim::Jump(to),
        });
        Ok(())
    }

    pub(super) fn load(&mut self, module: &'static Module, at: Range<usize>) {
        self.modules.push((module, nothing_given(format!("-m {}", module.name()), at)));
    }

    /// What a module was given, by its place; the target's, if it has none.
    pub(super) fn given(&mut self, place: Option<usize>) -> Option<&mut Given> {
        match (place, &mut self.aim) {
            (Some(place), _) => self.modules.get_mut(place).map(|(_, given)| given),
            (None, Some(Aim::Module(_, given))) => Some(given),
            (None, _) => None,
        }
    }

    /// The number that `-p` asks for.
    fn demanded_protocol(&self) -> Option<u8> {
        let (not, word, _) = self.protocol.0.as_ref()?;
        if *not { None } else { values::protocol(word).ok().flatten() }
    }

    /// The module that `-p` loads where one of its options is used.
    pub(super) fn implied_module(&self) -> Option<&'static Module> {
        let protocol = self.demanded_protocol()?;
        MODULES.iter().find(|module| module.protocols == [protocol])
    }

    pub(super) fn known_options(&self) -> Vec<&'static str> {
        let implied = self.implied_module().into_iter();
        let of_target = self.aim.iter().filter_map(|aim| if let Aim::Module(target, _) = aim { Some(target.options) } else { None });
        let options = implied.chain(self.modules.iter().map(|(module, _)| *module)).map(|module| module.options).chain(of_target);
        options.flatten().map(Opt::name).collect()
    }

    /// The module that the next option is probably meant for.
    pub(super) fn last_loaded(&self) -> Option<(String, &'static [Opt])> {
        let by_protocol = || self.implied_module().map(|module| (format!("-p {}", module.name()), module.options));
        match &self.aim {
            Some(Aim::Module(target, given)) => Some((given.module.clone(), target.options)),
            _ => self.modules.last().map(|(module, given)| (given.module.clone(), module.options)).or_else(by_protocol),
        }
    }

    /// The command, or what is wrong with the line as a whole. `end` is where its last word stands.
    pub(super) fn finish(mut self, end: Range<usize>) -> Read<Command> {
        let Some((verb, chain)) = self.verb.take() else {
            let wrong = Wrong::new(end, "the line does not say what to do");
            return Err(wrong.help("`-A CHAIN` appends a rule, `-I CHAIN` inserts one, `-N CHAIN` makes a chain, `-P CHAIN` sets a policy"));
        };
        let table = self.table.take().map_or_else(|| "filter".to_owned(), |table| table.text);
        let built_in = check_chain(&table, &chain)?;
        let family = self.family;
        match verb {
            Verb::NewChain if built_in => Err(chain.wrong(format!("{} is there from the beginning", chain.text))),
            Verb::NewChain => self.alone("-N", &chain).map(|()| Command::NewChain { family, table, chain: chain.text }),
            Verb::Policy(policy) => {
                self.alone("-P", &chain)?;
                let accept = policy_of(&table, &chain, built_in, &policy)?;
                Ok(Command::Policy { family, table, chain: chain.text, accept })
            }
            Verb::Append => self.plan(table, &chain, built_in).map(Command::Append),
            Verb::Insert(place) => {
                let number = match &place {
                    Some(word) => {
                        word.text.parse().ok().filter(|place| *place > 0).ok_or_else(|| word.wrong("rules are counted from 1"))?
                    }
                    None => 1,
                };
                self.plan(table, &chain, built_in).map(|plan| Command::Insert(plan, number))
            }
        }
    }

    /// Only a rule has conditions.
    fn alone(&self, verb: &str, chain: &Word) -> Read<()> {
        let slots = [&self.source, &self.destination, &self.input, &self.output, &self.protocol];
        let conditions = slots.iter().any(|slot| slot.0.is_some()) || !self.modules.is_empty();
        match conditions || self.aim.is_some() {
            true => Err(chain.wrong(format!("`{verb}` takes no condition and no target"))),
            false => Ok(()),
        }
    }

    fn plan(self, table: String, chain: &Word, built_in: bool) -> Read<Plan> {
        self.check_interfaces(chain, built_in)?;
        let scene = Scene { family: self.family, protocol: self.demanded_protocol(), chain: chain.text.clone() };
        let mut asked = Vec::new();
        for (module, given) in &self.modules {
            check_module(module, given, &scene, &table, chain, built_in)?;
            asked.extend((module.tests)(given, &scene)?);
        }
        let mut tests = self.interfaces()?;
        if let Some((not, word, _)) = &self.protocol.0 {
            match values::protocol(word)? {
                Some(number) if *not || !says_protocol(&asked) => tests.push(Test { not: *not, of: Match::Protocol(number) }),
                None if *not => return Err(word.wrong("no protocol is none at all")),
                _ => {}
            }
        }
        tests.extend(self.addresses()?);
        tests.extend(asked);
        let target = self.target(&scene, &table, chain, built_in)?;
        Ok(Plan { family: self.family, table, chain: chain.text.clone(), tests, target })
    }

    fn interfaces(&self) -> Read<Vec<Test>> {
        let mut tests = Vec::new();
        for (slot, of) in [(&self.input, Match::In as fn(String) -> Match), (&self.output, Match::Out)] {
            let Some((not, word, _)) = &slot.0 else { continue };
            match values::interface(word)? {
                Some(name) => tests.push(Test { not: *not, of: of(name) }),
                None if *not => return Err(word.wrong("no interface at all is none")),
                None => {}
            }
        }
        Ok(tests)
    }

    fn addresses(&self) -> Read<Vec<Test>> {
        let mut tests = Vec::new();
        for (slot, of) in [(&self.source, Match::From as fn(Vec<_>) -> Match), (&self.destination, Match::To)] {
            let Some((not, word, _)) = &slot.0 else { continue };
            match values::addresses(word, self.family)? {
                Some(several) if *not && several.len() > 1 => return Err(word.wrong("with a `!`, there is one address or net")),
                Some(addresses) => tests.push(Test { not: *not, of: of(addresses) }),
                None if *not => return Err(word.wrong("no address at all is none")),
                None => {}
            }
        }
        Ok(tests)
    }

    fn target(&self, scene: &Scene, table: &str, chain: &Word, built_in: bool) -> Read<Option<Target>> {
        match &self.aim {
            None => Ok(None),
            Some(Aim::Module(module, given)) => {
                targets::out_of_place(module, given, table, &chain.text, built_in)?;
                (module.target)(given, scene).map(Some)
            }
            Some(Aim::Jump(to) | Aim::Goto(to)) if check_chain(table, to)? => {
                Err(to.wrong(format!("{} is called by the kernel, and by no rule", to.text)))
            }
            Some(Aim::Jump(to)) => Ok(Some(Target::Jump(to.text.clone()))),
            Some(Aim::Goto(to)) => Ok(Some(Target::Goto(to.text.clone()))),
        }
    }

    fn check_interfaces(&self, chain: &Word, built_in: bool) -> Read<()> {
        for (option, forbidden, why) in WITHOUT_INTERFACE {
            let slot = if *option == "-i" { &self.input } else { &self.output };
            if let Some((_, _, at)) = &slot.0
                && built_in
                && chain.text == *forbidden
            {
                return Err(Wrong::new(at.clone(), format!("`{option}` is not for {forbidden}: {why}")));
            }
        }
        Ok(())
    }
}

/// Whether ports, flags or types say the protocol before anything that counts packets.
fn says_protocol(tests: &[Test]) -> bool {
    let counts = |of: &Match| match of {
        Match::Nth { .. } | Match::Limit { .. } => true,
        Match::Recent { act, .. } => *act != Recent::Check,
        _ => false,
    };
    let says = |of: &Match| matches!(of, Match::FromPorts(..) | Match::ToPorts(..) | Match::TcpFlags { .. } | Match::Icmp(..));
    tests.iter().map(|test| &test.of).take_while(|of| !counts(of)).any(says)
}

fn check_module(module: &Module, given: &Given, scene: &Scene, table: &str, chain: &Word, built_in: bool) -> Read<()> {
    if !module.protocols.is_empty() && !scene.protocol.is_some_and(|protocol| module.protocols.contains(&protocol)) {
        let names = if module.protocols.len() > 1 { "tcp`, `-p udp`, `-p sctp` or `-p dccp" } else { module.name() };
        return Err(given.wrong(format!("`{}` needs `-p {names}`", given.module)));
    }
    if module.name() == "rpfilter" && !(matches!(table, "raw" | "mangle") && (chain.text == "PREROUTING" || !built_in)) {
        return Err(given.wrong("`-m rpfilter` is for PREROUTING of the tables raw and mangle, where no route was looked up yet"));
    }
    Ok(())
}

/// Whether the kernel calls the chain; the error is a name that no chain can have.
fn check_chain(table: &str, chain: &Word) -> Read<bool> {
    let name = chain.text.as_str();
    let called = TABLES.iter().find(|(known, _)| *known == table).map_or(&[][..], |(_, chains)| chains);
    if called.contains(&name) {
        return Ok(true);
    }
    if TABLES.iter().any(|(_, chains)| chains.contains(&name)) {
        return Err(chain.wrong(format!("the table {table} has no {name}: it has {}", called.join(", "))));
    }
    if is_target(name) {
        return Err(chain.wrong(format!("`{name}` is a target, and a chain cannot have its name")));
    }
    match name.len() {
        0 => Err(chain.wrong("a chain has a name")),
        length if length > LONGEST_CHAIN => Err(chain.wrong(format!("names of chains have at most {LONGEST_CHAIN} characters"))),
        _ if name.starts_with(['-', '!']) || name.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Err(chain.wrong(format!("`{name}` is no name of a chain")))
        }
        _ => Ok(false),
    }
}

fn policy_of(table: &str, chain: &Word, built_in: bool, policy: &Word) -> Read<bool> {
    match policy.text.as_str() {
        _ if !built_in => Err(chain.wrong("only the chains that the kernel calls have a policy")),
        "ACCEPT" => Ok(true),
        "DROP" if table == "nat" => Err(policy.wrong("the table nat is not for filtering: it sees the first packet of a connection only")),
        "DROP" => Ok(false),
        _ => Err(policy.wrong("a policy is ACCEPT or DROP")),
    }
}
