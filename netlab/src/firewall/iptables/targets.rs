//! The targets that `-j` names: their options, and where they may stand.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

use super::super::plan::{RejectWith, Target, Translation};
use super::given::{Given, GivenOption, Opt, Scene, flag, value};
use super::modules::TCP;
use super::values::{self, Names, Read};
use super::words::{Word, Wrong};
use crate::nft::Family;
use crate::nft::expr::nat_flags;
use crate::nft::matches::Ports;

/// A target.
#[derive(Debug)]
pub(super) struct TargetModule {
    pub(super) name: &'static str,
    /// The tables that it may stand in; none, if in any.
    pub(super) tables: &'static [&'static str],
    /// The chains that it may stand in, beside own ones; none, if in any.
    pub(super) chains: &'static [&'static str],
    pub(super) options: &'static [Opt],
    pub(super) target: fn(&Given, &Scene) -> Read<Target>,
}

const RANDOM: Opt = flag(&["--random"]);
const RANDOM_FULLY: Opt = flag(&["--random-fully"]);
const PERSISTENT: Opt = flag(&["--persistent"]);
const TO_PORTS: Opt = value(&["--to-ports", "--to-port"]);
const SET_XMARK: Opt = value(&["--set-xmark"]);
const SET_MARK: Opt = value(&["--set-mark"]);
const AND_MARK: Opt = value(&["--and-mark"]);
const OR_MARK: Opt = value(&["--or-mark"]);
const XOR_MARK: Opt = value(&["--xor-mark"]);

const fn verdict(name: &'static str, target: fn(&Given, &Scene) -> Read<Target>) -> TargetModule {
    TargetModule { name, tables: &[], chains: &[], options: &[], target }
}

pub(super) const TARGETS: &[TargetModule] = &[
    verdict("ACCEPT", |_, _| Ok(Target::Accept)),
    TargetModule { tables: &["filter", "mangle", "raw", "security"], ..verdict("DROP", |_, _| Ok(Target::Drop)) },
    verdict("RETURN", |_, _| Ok(Target::Return)),
    TargetModule {
        name: "REJECT",
        tables: &["filter"],
        chains: &["INPUT", "FORWARD", "OUTPUT"],
        options: &[value(&["--reject-with"])],
        target: reject,
    },
    TargetModule {
        name: "MASQUERADE",
        tables: &["nat"],
        chains: &["POSTROUTING"],
        options: &[TO_PORTS, RANDOM, RANDOM_FULLY],
        target: |given, scene| Ok(Target::Masquerade { ports: to_ports(given, scene)?, flags: flags(given) }),
    },
    TargetModule {
        name: "SNAT",
        tables: &["nat"],
        chains: &["POSTROUTING", "INPUT"],
        options: &[value(&["--to-source"]), RANDOM, RANDOM_FULLY, PERSISTENT],
        target: |given, scene| Ok(Target::Snat { to: translation(given.need("--to-source")?.0, scene)?, flags: flags(given) }),
    },
    TargetModule {
        name: "DNAT",
        tables: &["nat"],
        chains: &["PREROUTING", "OUTPUT"],
        options: &[value(&["--to-destination"]), RANDOM, PERSISTENT],
        target: |given, scene| Ok(Target::Dnat { to: translation(given.need("--to-destination")?.0, scene)?, flags: flags(given) }),
    },
    TargetModule {
        name: "NETMAP",
        tables: &["nat"],
        chains: &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        options: &[value(&["--to"])],
        target: netmap,
    },
    TargetModule {
        name: "SNPT",
        tables: &["mangle"],
        chains: &["INPUT", "POSTROUTING"],
        options: &[value(&["--src-pfx"]), value(&["--dst-pfx"])],
        target: |given, scene| npt(given, scene, true),
    },
    TargetModule {
        name: "DNPT",
        tables: &["mangle"],
        chains: &["PREROUTING", "OUTPUT"],
        options: &[value(&["--src-pfx"]), value(&["--dst-pfx"])],
        target: |given, scene| npt(given, scene, false),
    },
    TargetModule {
        name: "REDIRECT",
        tables: &["nat"],
        chains: &["PREROUTING", "OUTPUT"],
        options: &[TO_PORTS, RANDOM],
        target: |given, scene| Ok(Target::Redirect { ports: to_ports(given, scene)?, flags: flags(given) }),
    },
    TargetModule {
        name: "TPROXY",
        tables: &["mangle"],
        chains: &["PREROUTING"],
        options: &[value(&["--on-port"]), value(&["--on-ip"]), value(&["--tproxy-mark"])],
        target: tproxy,
    },
    TargetModule {
        name: "MARK",
        tables: &[],
        chains: &[],
        options: &[SET_XMARK, SET_MARK, AND_MARK, OR_MARK, XOR_MARK],
        target: |given, _| {
            let (value, mask) = mark_change(given.one_of(MARK_CHANGES)?)?;
            Ok(Target::Mark { value, mask })
        },
    },
    TargetModule {
        name: "CONNMARK",
        tables: &[],
        chains: &[],
        options: &[
            SET_XMARK,
            SET_MARK,
            AND_MARK,
            OR_MARK,
            XOR_MARK,
            flag(&["--save-mark"]),
            flag(&["--restore-mark"]),
            value(&["--nfmask"]),
            value(&["--ctmask"]),
            value(&["--mask"]),
        ],
        target: connection_mark,
    },
    TargetModule {
        name: "NFLOG",
        tables: &[],
        chains: &[],
        options: &[value(&["--nflog-group"]), value(&["--nflog-prefix"]), value(&["--nflog-size", "--nflog-range"])],
        target: nflog,
    },
    TargetModule {
        name: "LOG",
        tables: &[],
        chains: &[],
        options: &[
            value(&["--log-prefix"]),
            value(&["--log-level"]),
            flag(&["--log-tcp-sequence"]),
            flag(&["--log-tcp-options"]),
            flag(&["--log-ip-options"]),
            flag(&["--log-uid"]),
            flag(&["--log-macdecode"]),
        ],
        target: log,
    },
    TargetModule { tables: &["raw"], ..verdict("TRACE", |_, _| Ok(Target::Trace)) },
    TargetModule { tables: &["raw"], ..verdict("NOTRACK", |_, _| Ok(Target::NoTrack)) },
    TargetModule {
        name: "CT",
        tables: &["raw"],
        chains: &[],
        options: &[flag(&["--notrack"])],
        target: |given, _| given.one_of(&["--notrack"]).map(|_| Target::NoTrack),
    },
];

/// Targets of iptables that a rule of netlab cannot say.
pub(super) const NOT_NATIVE: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CLUSTERIP",
    "CONNSECMARK",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "NFQUEUE",
    "QUEUE",
    "RATEEST",
    "SECMARK",
    "SET",
    "SYNPROXY",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TTL",
    "ULOG",
];

/// Flags of a translation, with their options in the order in which iptables prints them.
pub(super) const FLAGS: [(u32, &str); 3] =
    [(nat_flags::RANDOM, "--random"), (nat_flags::FULLY_RANDOM, "--random-fully"), (nat_flags::PERSISTENT, "--persistent")];

fn flags(given: &Given) -> u32 {
    FLAGS.iter().filter(|(_, name)| given.has(name)).fold(0, |flags, (flag, _)| flags | flag)
}

/// Options of `LOG` beside its prefix and level, and the kernel's bits for them.
pub(super) const LOG_FLAGS: Names =
    &[(1, "--log-tcp-sequence"), (2, "--log-tcp-options"), (4, "--log-ip-options"), (8, "--log-uid"), (0x20, "--log-macdecode")];

fn reject(given: &Given, scene: &Scene) -> Read<Target> {
    let Some(word) = given.word("--reject-with") else { return Ok(Target::Reject(RejectWith::Port)) };
    if matches!(word.text.as_str(), "tcp-reset" | "tcp-rst") {
        return match scene.protocol {
            Some(TCP) => Ok(Target::Reject(RejectWith::TcpReset)),
            _ => Err(word.wrong("only TCP can be reset").help("write `-p tcp` before it")),
        };
    }
    let (names, port) = if scene.family == Family::Ip6 { (values::REJECT_ICMPV6, 4) } else { (values::REJECT_ICMP, 3) };
    let code = values::named(word, &word.text, names)?;
    Ok(Target::Reject(if code == port { RejectWith::Port } else { RejectWith::Code(code.to_be_bytes()[3]) }))
}

fn needs_ports(word: &Word, scene: &Scene) -> Read<()> {
    match scene.protocol.filter(|protocol| super::modules::WITH_PORTS.contains(protocol)) {
        Some(_) => Ok(()),
        None => Err(word.wrong("only a protocol has ports").help("write `-p tcp`, `-p udp`, `-p sctp` or `-p dccp` before it")),
    }
}

fn to_ports(given: &Given, scene: &Scene) -> Read<Option<Ports>> {
    let Some(word) = given.word("--to-ports") else { return Ok(None) };
    needs_ports(word, scene)?;
    values::ports(word, &word.text, '-').map(Some)
}

/// `ADDRESS[-ADDRESS][:PORT[-PORT]]`, with brackets round an IPv6 address that has a port.
fn translation(word: &Word, scene: &Scene) -> Read<Translation> {
    let wrong = || word.wrong(format!("`{}` is no address, range or `ADDRESS:PORT`", word.text));
    let text = word.text.as_str();
    let (addresses, ports) = match text.strip_prefix('[').map(|inner| inner.split_once(']').ok_or_else(wrong)).transpose()? {
        Some((addresses, "")) => (addresses, None),
        Some((addresses, rest)) => (addresses, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
        None if scene.family == Family::Ip6 => (text, None),
        None => text.split_once(':').map_or((text, None), |(addresses, ports)| (addresses, Some(ports))),
    };
    let address = if addresses.is_empty() { None } else { Some(addresses_of(word, addresses, scene.family)?) };
    let ports = match ports {
        None if address.is_none() => return Err(wrong()),
        None => None,
        Some("") => return Err(wrong()),
        Some(ports) => {
            needs_ports(word, scene)?;
            Some(values::ports(word, ports, '-')?)
        }
    };
    Ok(Translation { address, ports })
}

fn addresses_of(word: &Word, text: &str, family: Family) -> Read<(IpAddr, IpAddr)> {
    let address = |text: &str| {
        let address: IpAddr = text.parse().map_err(|_| word.wrong(format!("`{text}` is no address")))?;
        values::of_family(word, address, family).map(|()| address)
    };
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (address(from)?, address(to)?) {
        (from, to) if from > to => Err(word.wrong(format!("the addresses `{text}` end before they begin"))),
        range => Ok(range),
    }
}

/// Of the source or of the destination, as the chain has it.
fn netmap(given: &Given, scene: &Scene) -> Read<Target> {
    let (word, _) = given.need("--to")?;
    let net: IpNet = word.text.parse().or_else(|_| word.text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| word.wrong(NO_NET))?;
    values::of_family(word, net.addr(), scene.family)?;
    let to = Translation { address: Some((net.network(), net.broadcast())), ports: None };
    match scene.chain.as_str() {
        "INPUT" | "POSTROUTING" => Ok(Target::Snat { to, flags: nat_flags::NETMAP }),
        "PREROUTING" | "OUTPUT" => Ok(Target::Dnat { to, flags: nat_flags::NETMAP }),
        _ => Err(given.wrong("in a chain of one's own, `NETMAP` does not tell whether it translates sources or destinations")),
    }
}

const NO_NET: &str = "expected a net, such as `198.51.100.0/24`";

fn npt(given: &Given, scene: &Scene, source: bool) -> Read<Target> {
    if scene.family != Family::Ip6 {
        return Err(given.wrong("only IPv6 has it").help("write `ip6tables`"));
    }
    let prefix = |name: &str| {
        let (word, _) = given.need(name)?;
        let net = word.text.parse::<Ipv6Net>().ok().filter(|net| net.prefix_len() <= 64 && net.addr() == net.network());
        net.ok_or_else(|| word.wrong("expected a prefix of at most 64 bits, such as `fd00:a::/48`"))
    };
    Ok(Target::Npt { source, from: prefix("--src-pfx")?, to: prefix("--dst-pfx")? })
}

fn tproxy(given: &Given, scene: &Scene) -> Read<Target> {
    let (word, _) = given.need("--on-port")?;
    needs_ports(word, scene)?;
    let (port, _) = values::ports(word, &word.text, ':')?;
    let address = given.word("--on-ip").map(|word| addresses_of(word, &word.text, scene.family)).transpose()?.map(|(from, _)| from);
    let mark = given.word("--tproxy-mark").map(values::mark).transpose()?;
    Ok(Target::Tproxy { address, port, mark })
}

const MARK_CHANGES: &[&str] = &["--set-xmark", "--set-mark", "--and-mark", "--or-mark", "--xor-mark"];

/// Every change of a mark as the bits that are cleared and those that are then turned round.
fn mark_change(option: &GivenOption) -> Read<(u32, u32)> {
    let word = option.word()?;
    let (value, mask) = values::mark(word)?;
    let name = option.opt.name();
    if word.text.contains('/') && !name.starts_with("--set") {
        return Err(word.wrong(format!("`{name}` takes no mask")));
    }
    Ok(match name {
        "--set-mark" => (value, value | mask),
        "--and-mark" => (0, !value),
        "--or-mark" => (value, value),
        "--xor-mark" => (value, 0),
        _ => (value, mask),
    })
}

fn connection_mark(given: &Given, _: &Scene) -> Read<Target> {
    let copies = ["--save-mark", "--restore-mark"];
    let option = given.one_of(&[MARK_CHANGES, &copies].concat())?;
    let masks = given.options.iter().filter(|option| matches!(option.opt.name(), "--nfmask" | "--ctmask" | "--mask"));
    let copies = copies.contains(&option.opt.name());
    for mask in masks {
        let word = mask.word()?;
        if !copies {
            return Err(mask.wrong(format!("`{}` goes with `--save-mark` or `--restore-mark`", mask.opt.name())));
        }
        if values::number(word, &word.text, u32::MAX)? != u32::MAX {
            return Err(word.wrong("netlab copies whole marks: nf_tables has no word for some bits of them before Linux 6.13"));
        }
    }
    match option.opt.name() {
        "--save-mark" => Ok(Target::SaveMark),
        "--restore-mark" => Ok(Target::RestoreMark),
        _ => mark_change(option).map(|(value, mask)| Target::ConnMark { value, mask }),
    }
}

fn prefix(given: &Given, name: &str, most: usize) -> Read<Option<String>> {
    match given.word(name) {
        Some(word) if word.text.len() > most => Err(word.wrong(format!("a prefix has at most {most} bytes"))),
        Some(word) if word.text.contains(['\n', '\0']) => Err(word.wrong("a prefix is one line")),
        word => Ok(word.map(|word| word.text.clone())),
    }
}

fn nflog(given: &Given, _: &Scene) -> Read<Target> {
    const LONGEST: usize = 63;
    let group = given.word("--nflog-group").map_or(Ok(0), |word| values::number(word, &word.text, u32::from(u16::MAX)))?;
    let bytes = given.word("--nflog-size").map(|word| values::number(word, &word.text, u32::MAX)).transpose()?;
    let prefix = prefix(given, "--nflog-prefix", LONGEST)?;
    Ok(Target::Log { group: u16::try_from(group).unwrap_or(u16::MAX), prefix, bytes })
}

fn log(given: &Given, _: &Scene) -> Read<Target> {
    const LONGEST: usize = 29;
    const WARNING: u32 = 4;
    let level = |word: &Word| match word.text.starts_with(|c: char| c.is_ascii_digit()) {
        true => values::number(word, &word.text, 7),
        false => values::named(word, &word.text, values::LOG_LEVELS),
    };
    let level = given.word("--log-level").map_or(Ok(WARNING), level)?;
    let flags = LOG_FLAGS.iter().filter(|(_, name)| given.has(name)).fold(0, |flags, (flag, _)| flags | flag);
    Ok(Target::KernelLog { level, flags, prefix: prefix(given, "--log-prefix", LONGEST)? })
}

/// What of a target's place is wrong.
pub(super) fn out_of_place(module: &TargetModule, given: &Given, table: &str, chain: &str, built_in: bool) -> Result<(), Wrong> {
    let name = module.name;
    if name == "DROP" && table == "nat" {
        let wrong = given.wrong("the table nat is not for filtering: it sees the first packet of a connection only");
        return Err(wrong.help("drop in the table filter or raw"));
    }
    if !module.tables.is_empty() && !module.tables.contains(&table) {
        let tables = module.tables.join(" or ");
        let wrong = given.wrong(format!("`{name}` goes into the table {tables}, not {table}"));
        return Err(wrong.help(format!("write `-t {}`", module.tables[0])));
    }
    if built_in && !module.chains.is_empty() && !module.chains.contains(&chain) {
        return Err(
            given.wrong(format!("`{name}` goes into {} or a chain that is called from there, not into {chain}", module.chains.join(", ")))
        );
    }
    Ok(())
}
