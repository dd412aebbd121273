//! A command line of iptables, word by word.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::super::plan::Plan;
use super::draft::{Aim, Draft, Verb};
use super::given::{Given, GivenOption, Opt};
use super::modules::{self, MODULES, Module};
use super::targets::{self, TARGETS};
use super::values::Read;
use super::words::{Word, Wrong, nearest, split};
use crate::nft::Family;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// `-A`.
    Append(Plan),
    /// `-I`: before the rule that has this place now, counted from 1.
    Insert(Plan, usize),
    /// `-N`.
    NewChain { family: Family, table: String, chain: String },
    /// `-P`.
    Policy { family: Family, table: String, chain: String, accept: bool },
}

/// Options that belong to no module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Global {
    Table,
    Append,
    Insert,
    NewChain,
    Policy,
    Source,
    Destination,
    In,
    Out,
    Protocol,
    Jump,
    Goto,
    Match,
    /// With that many words, or one that may be left out.
    Ignored(usize),
    Wait,
    Is(Family),
    /// What to do instead.
    Refused(&'static str),
}

const DROP_IT: &str = "drop the fixture: what it installed goes with it";
const ASK_IT: &str = "ask the namespace: `netns.ruleset()` lists the rules, `rule.hits()` what they counted";
const GLOBALS: &[(&[&str], Global)] = &[
    (&["-t", "--table"], Global::Table),
    (&["-A", "--append"], Global::Append),
    (&["-I", "--insert"], Global::Insert),
    (&["-N", "--new-chain", "--new"], Global::NewChain),
    (&["-P", "--policy"], Global::Policy),
    (&["-s", "--source", "--src"], Global::Source),
    (&["-d", "--destination", "--dst"], Global::Destination),
    (&["-i", "--in-interface"], Global::In),
    (&["-o", "--out-interface"], Global::Out),
    (&["-p", "--protocol", "--proto"], Global::Protocol),
    (&["-j", "--jump"], Global::Jump),
    (&["-g", "--goto"], Global::Goto),
    (&["-m", "--match"], Global::Match),
    (&["-w", "--wait", "-W", "--wait-interval"], Global::Wait),
    (&["-v", "--verbose", "-n", "--numeric"], Global::Ignored(0)),
    (&["-c", "--set-counters"], Global::Ignored(2)),
    (&["-4", "--ipv4"], Global::Is(Family::Ip)),
    (&["-6", "--ipv6"], Global::Is(Family::Ip6)),
    (&["-D", "--delete", "-F", "--flush", "-X", "--delete-chain"], Global::Refused(DROP_IT)),
    (&["-L", "--list", "-S", "--list-rules", "-C", "--check"], Global::Refused(ASK_IT)),
    (&["-Z", "--zero"], Global::Refused("call `zero()` of the rule")),
    (&["-R", "--replace", "-E", "--rename-chain"], Global::Refused("drop the fixture and install another")),
    (&["-f", "--fragment"], Global::Refused("connection tracking puts fragments together before a rule sees them")),
];

/// Understands a line, with or without `iptables` or `ip6tables` before it. Without, it is for the family given; or, if that is none,
/// for IPv6 if it has an IPv6 address.
pub(crate) fn parse(line: &str, family: Option<Family>) -> Read<Command> {
    understand(line, family, None)
}

/// Understands a line between `*TABLE` and `COMMIT`.
pub(super) fn parse_in(line: &str, family: Family, table: &str) -> Read<Command> {
    understand(line, Some(family), Some(table))
}

fn understand(line: &str, family: Option<Family>, table: Option<&str>) -> Read<Command> {
    let words = split(line)?;
    let guessed = if words.iter().any(|word| is_ipv6(&word.text)) { Family::Ip6 } else { Family::Ip };
    let (skipped, said) = program(&words)?;
    let end = words.last().map_or(0..1, |word| word.at.clone());
    let family = said.or(family).unwrap_or(guessed);
    let mut line = Line { words: words.into_iter().skip(skipped).peekable(), end, draft: Draft::new(family) };
    if let Some(table) = table {
        line.draft.table_of_text(table)?;
    }
    while let Some(word) = line.words.next() {
        if word.text == "!" {
            let option = line.words.next().ok_or_else(|| word.wrong("a `!` stands before an option"))?;
            line.option(option, Some(&word))?;
        } else {
            line.option(word, None)?;
        }
    }
    let end = line.end;
    line.draft.finish(end)
}

fn is_ipv6(text: &str) -> bool {
    text.split(['/', '-', ',']).any(|part| part.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>().is_ok())
        || text.starts_with('[') && text.contains("]:")
}

/// How many words come before the first option, and the family that they name.
fn program(words: &[Word]) -> Read<(usize, Option<Family>)> {
    let skipped = words.iter().take_while(|word| !word.text.starts_with(['-', '!'])).count();
    let mut family = None;
    for word in &words[..skipped] {
        let name = word.text.rsplit('/').next().unwrap_or_default();
        match name.trim_end_matches("-nft").trim_end_matches("-legacy") {
            "sudo" => {}
            "iptables" => family = Some(Family::Ip),
            "ip6tables" => family = Some(Family::Ip6),
            _ => return Err(word.wrong("a line begins with `iptables`, `ip6tables` or an option such as `-A`")),
        }
    }
    Ok((skipped, family))
}

struct Line {
    words: std::iter::Peekable<std::iter::Skip<std::vec::IntoIter<Word>>>,
    /// Of the line.
    end: Range<usize>,
    draft: Draft,
}

impl Line {
    fn option(&mut self, word: Word, not: Option<&Word>) -> Read<()> {
        if !word.text.starts_with('-') || word.text.len() < 2 {
            let wrong = word.wrong(format!("`{}` belongs to no option", word.text));
            return Err(if not.is_some() { wrong.help("a `!` stands before an option, as in `! -s 10.0.0.0/8`") } else { wrong });
        }
        let (name, attached) = spelled(&word)?;
        if let Some(global) = global(&name) {
            return self.global(global, &Word { text: name, at: word.at }, attached, not);
        }
        let option = Word { text: name, at: word.at };
        let (opt, place) = self.find(&option)?;
        if let Some(not) = not
            && !opt.not
        {
            return Err(not.wrong(format!("`{}` cannot be turned round", option.text)));
        }
        let mut values: Vec<Word> = attached.into_iter().collect();
        while values.len() < opt.values {
            values.push(self.value(&option)?);
        }
        if values.len() > opt.values {
            return Err(option.wrong(format!("`{}` takes no value", option.text)));
        }
        let given = self.draft.given(place);
        if given.is_some_and(|given| given.has(opt.name())) {
            return Err(option.wrong(format!("`{}` is said twice", option.text)));
        }
        if let Some(given) = self.draft.given(place) {
            given.options.push(GivenOption { opt, not: not.is_some(), at: option.at, values });
        }
        Ok(())
    }

    /// The option of a module that the line has loaded, or that its protocol loads; and which of them it is, the target being none.
    fn find(&mut self, option: &Word) -> Read<(&'static Opt, Option<usize>)> {
        let of = |options: &'static [Opt]| options.iter().find(|opt| opt.names.contains(&option.text.as_str()));
        if let Some(Aim::Module(module, _)) = &self.draft.aim
            && let Some(opt) = of(module.options)
        {
            return Ok((opt, None));
        }
        let loaded = self.draft.modules.iter().enumerate().rev().find_map(|(place, (module, _))| Some((of(module.options)?, Some(place))));
        if let Some(found) = loaded {
            return Ok(found);
        }
        let Some(module) = self.draft.implied_module().filter(|module| of(module.options).is_some()) else {
            return Err(unknown(option, &self.draft));
        };
        self.draft.load(module, option.at.clone());
        of(module.options).map(|opt| (opt, Some(self.draft.modules.len() - 1))).ok_or_else(|| unknown(option, &self.draft))
    }

    fn value(&mut self, option: &Word) -> Read<Word> {
        let needs = || option.wrong(format!("`{}` needs a value", option.text));
        let word = self.words.next().ok_or_else(needs)?;
        if word.text == "!" {
            return Err(word.wrong(format!("the `!` stands before the option: `! {}`", option.text)));
        }
        if global(&word.text).is_some() || all_options().any(|known| known == word.text) {
            return Err(needs());
        }
        Ok(word)
    }

    fn number(&mut self) -> Option<Word> {
        self.words.next_if(|word| !word.text.is_empty() && word.text.bytes().all(|byte| byte.is_ascii_digit()))
    }

    fn global(&mut self, global: Global, option: &Word, attached: Option<Word>, not: Option<&Word>) -> Read<()> {
        let turns = matches!(global, Global::Source | Global::Destination | Global::In | Global::Out | Global::Protocol);
        if let Some(not) = not.filter(|_| !turns) {
            return Err(not.wrong(format!("`{}` cannot be turned round", option.text)));
        }
        match global {
            Global::Refused(help) => return Err(option.wrong(format!("`{}` is not for a fixture", option.text)).help(help)),
            Global::Wait => {
                self.number();
                return Ok(());
            }
            Global::Ignored(count) => return (0..count).try_for_each(|_| self.value(option).map(drop)),
            Global::Is(family) if family == self.draft.family => return Ok(()),
            Global::Is(_) => return Err(option.wrong(format!("the rule is for {}", self.draft.protocol_name()))),
            _ => {}
        }
        let value = match attached {
            Some(value) => value,
            None => self.value(option)?,
        };
        let not = not.is_some();
        match global {
            Global::Table => self.draft.table(option, value),
            Global::Append => self.draft.verb(option, Verb::Append, value),
            Global::Insert => {
                let place = self.number();
                self.draft.verb(option, Verb::Insert(place), value)
            }
            Global::NewChain => self.draft.verb(option, Verb::NewChain, value),
            Global::Policy => {
                let policy = self.value(option)?;
                self.draft.verb(option, Verb::Policy(policy), value)
            }
            Global::Match => self.load(&value),
            Global::Jump | Global::Goto => self.draft.aim(option, value, global == Global::Goto),
            Global::Source => self.draft.source.set(option, not, value),
            Global::Destination => self.draft.destination.set(option, not, value),
            Global::In => self.draft.input.set(option, not, value),
            Global::Out => self.draft.output.set(option, not, value),
            _ => self.draft.protocol.set(option, not, value),
        }
    }

    fn load(&mut self, name: &Word) -> Read<()> {
        let text = name.text.as_str();
        if let Some(module) = MODULES.iter().find(|module| module.names.contains(&text)) {
            self.draft.load(module, name.at.clone());
            return Ok(());
        }
        if let Some((_, instead)) = modules::NOT_NATIVE.iter().find(|(known, _)| *known == text) {
            return Err(name.wrong(format!("netlab's rules have no `-m {text}`")).help(*instead));
        }
        let wrong = name.wrong(format!("netlab knows no match `{text}`"));
        Err(match nearest(text, MODULES.iter().map(Module::name)) {
            Some(near) => wrong.help(format!("did you mean `-m {near}`?")),
            None => wrong.help(format!("it knows {}", MODULES.iter().map(Module::name).collect::<Vec<_>>().join(", "))),
        })
    }
}

fn global(name: &str) -> Option<Global> {
    GLOBALS.iter().find(|(names, _)| names.contains(&name)).map(|(_, global)| *global)
}

/// The name of an option, and its value if that stands in the same word: `--dport=80`.
fn spelled(word: &Word) -> Read<(String, Option<Word>)> {
    let text = word.text.as_str();
    let long = format!("-{text}");
    if !text.starts_with("--") && (global(&long).is_some() || all_options().any(|known| known == long)) {
        return Err(word.wrong(format!("`{text}` is no option")).help(format!("did you mean `{long}`?")));
    }
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    Ok((name.to_owned(), value.map(|value| Word { text: value.to_owned(), at: word.at.clone() })))
}

fn all_options() -> impl Iterator<Item = &'static str> {
    let of_modules = MODULES.iter().flat_map(|module| module.options);
    of_modules.chain(TARGETS.iter().flat_map(|target| target.options)).flat_map(|opt| opt.names).copied()
}

/// Why an option is none of the line's.
fn unknown(option: &Word, draft: &Draft) -> Wrong {
    let text = option.text.as_str();
    let has = |options: &[Opt]| options.iter().any(|opt| opt.names.contains(&text));
    let owners: Vec<_> = MODULES.iter().filter(|module| has(module.options)).collect();
    if let Some(owner) = owners.first() {
        let by_protocol = owners.iter().all(|module| module.protocols.len() == 1);
        let loads = |module: &&Module| format!("`-{} {}`", if by_protocol { 'p' } else { 'm' }, module.name());
        let wrong = option.wrong(format!("`{text}` needs {} before it", owners.iter().map(loads).collect::<Vec<_>>().join(" or ")));
        return if owners.len() == 1 && !by_protocol { wrong.help(format!("write `-m {} {text}`", owner.name())) } else { wrong };
    }
    if let Some(target) = TARGETS.iter().find(|target| has(target.options)) {
        return option.wrong(format!("`{text}` needs `-j {}` before it", target.name));
    }
    let known: Vec<_> = draft.known_options();
    let near = nearest(text, known.iter().copied().chain(GLOBALS.iter().flat_map(|(names, _)| *names).copied()).chain(all_options()));
    let knows = draft.last_loaded().map(|(module, options)| {
        let options: Vec<_> = options.iter().map(Opt::name).collect();
        if options.is_empty() { format!("`{module}` has no options") } else { format!("`{module}` knows {}", options.join(", ")) }
    });
    let meant = near.map(|near| format!("did you mean `{near}`?"));
    let wrong = option.wrong(format!("`{text}` is no option here"));
    match [meant, knows].into_iter().flatten().collect::<Vec<_>>().join(" ") {
        help if help.is_empty() => wrong,
        help => wrong.help(help),
    }
}

/// Whether a name is taken by a target.
pub(super) fn is_target(name: &str) -> bool {
    TARGETS.iter().any(|target| target.name == name) || targets::NOT_NATIVE.contains(&name)
}

/// The target that was probably meant by what is no chain.
pub(super) fn near_target(chain: &str) -> Option<&'static str> {
    let capitals = chain.to_ascii_uppercase();
    // Of few letters, each other one makes another name.
    let near = nearest(&capitals, TARGETS.iter().map(|target| target.name)).filter(|near| capitals.len() > 3 || *near == capitals);
    near.filter(|near| *near != chain)
}

/// What a module is given before it is told anything.
pub(super) fn nothing_given(module: String, at: Range<usize>) -> Given {
    Given { module, at, options: Vec::new() }
}
