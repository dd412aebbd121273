//! `ip route get`.

use std::net::IpAddr;

use super::routes::Route;
use super::wire::{AF_INET, AF_INET6, Raw};
use super::{Links, Names};
use crate::netns::Netns;
use crate::sys::Refusal;

const RTM_GETLINK: u16 = 18;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_IIF: u16 = 3;
const RTA_OIF: u16 = 4;
const RTA_MARK: u16 = 16;
const RTA_IP_PROTO: u16 = 27;
const RTA_SPORT: u16 = 28;
const RTA_DPORT: u16 = 29;
/// The number of the table in the answer.
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;

/// What a packet is like whose way is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) to: IpAddr,
    pub(crate) from: Option<IpAddr>,
    /// The name of the interface by which it came; none if the machine itself sends it.
    pub(crate) iif: Option<String>,
    pub(crate) oif: Option<String>,
    pub(crate) mark: u32,
    /// Protocol, source and destination port.
    pub(crate) transport: Option<(u8, u16, u16)>,
}

impl Question {
    pub(crate) fn to(to: IpAddr) -> Self {
        Self { to, from: None, iif: None, oif: None, mark: 0, transport: None }
    }

    fn message(&self, names: &Names) -> Raw {
        let (family, bits) = if self.to.is_ipv6() { (AF_INET6, 128) } else { (AF_INET, 32) };
        let from_bits = if self.from.is_some() { bits } else { 0 };
        // IPv6 always tells the table, and refuses to be asked for it.
        let flags = if self.to.is_ipv6() { 0 } else { RTM_F_LOOKUP_TABLE };
        let mut bytes = vec![family, bits, from_bits, 0, 0, 0, 0, 0];
        bytes.extend(flags.to_ne_bytes());
        let index = |name: &Option<String>| names.0.iter().find(|(_, known)| Some(*known) == name.as_ref()).map(|(index, _)| *index);
        put(&mut bytes, RTA_DST, &octets(self.to));
        self.from.iter().for_each(|from| put(&mut bytes, RTA_SRC, &octets(*from)));
        index(&self.iif).iter().for_each(|index| put(&mut bytes, RTA_IIF, &index.to_ne_bytes()));
        index(&self.oif).iter().for_each(|index| put(&mut bytes, RTA_OIF, &index.to_ne_bytes()));
        if self.mark != 0 {
            put(&mut bytes, RTA_MARK, &self.mark.to_ne_bytes());
        }
        if let Some((protocol, source, destination)) = self.transport {
            put(&mut bytes, RTA_IP_PROTO, &[protocol]);
            // The kernel knows ports of these alone, and refuses others' (rtm_getroute_parse_ip_proto).
            if matches!(protocol, 6 | 17) {
                put(&mut bytes, RTA_SPORT, &source.to_be_bytes());
                put(&mut bytes, RTA_DPORT, &destination.to_be_bytes());
            }
        }
        Raw::new(RTM_GETROUTE, bytes)
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn put(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

impl Netns {
    /// The way of such a packet, or the kernel's refusal. Equals `ip route get TO from FROM iif IIF …`.
    pub(crate) fn way(&self, question: &Question) -> Result<Route, Refusal> {
        let listing = self.dump(Raw::new(RTM_GETLINK, vec![0; 16]))?;
        let (_, names) = Links::decode(&listing);
        let answers = self.request(question.message(&names), 0)?;
        let found = answers.iter().find_map(|answer| Route::decode_any(answer, &names));
        found.ok_or(Refusal { errno: libc::ENETUNREACH, message: None, offset: None, request: 0 })
    }
}
