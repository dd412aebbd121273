//! What a packet can die of.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::nft::Family;

/// Why a packet did not get further.
///
/// Its text is a sentence of which the machine is the subject's place: `no route leads to 10.0.2.1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// No route leads to the destination (`ENETUNREACH`).
    NoRoute {
        /// Where the packet should go.
        to: IpAddr,
    },
    /// A route of kind `blackhole`, `unreachable` or `prohibit` takes the packet.
    RouteRefuses {
        /// Where the packet should go.
        to: IpAddr,
        /// The kind of the route.
        route: String,
    },
    /// A policy rule decides about the packet: it refuses it, or leads it to a table that sends it elsewhere.
    PolicyRule {
        /// The rule, as `ip rule` prints it.
        rule: String,
        /// What becomes of the packet by it.
        effect: String,
    },
    /// A link is administratively down.
    LinkDown {
        /// The link.
        device: String,
    },
    /// A link is up but has no carrier: nothing is at its other end, or that is down.
    NoCarrier {
        /// The link.
        device: String,
        /// What is at the other end, such as `server/eth0`.
        peer: Option<String>,
    },
    /// A cable ends in a device that is the port of no bridge, and that has no address either.
    NotABridgePort {
        /// The device.
        device: String,
    },
    /// Both ports are isolated, so that the bridge forwards nothing from one to the other.
    PortIsolated {
        /// The port at which the packet came in.
        from: String,
        /// The port by which it should leave.
        to: String,
    },
    /// The bridge does not let the port learn or forward.
    PortNotForwarding {
        /// The port.
        port: String,
        /// Its state, such as `blocking` or `disabled`.
        state: String,
    },
    /// The port's VLANs do not let the frame through (`vlan_filtering`).
    VlanFiltered {
        /// The port.
        port: String,
    },
    /// A port of a bridge does not send a frame back out of the port by which it came.
    HairpinOff {
        /// The port.
        port: String,
    },
    /// Nobody answers for the next hop's address.
    NeighbourUnresolved {
        /// The address that was asked for by ARP or neighbour discovery.
        address: IpAddr,
        /// Where it was asked.
        device: String,
        /// Who has the address, if anyone, though not where it was asked.
        holder: Option<String>,
    },
    /// Frames for the address come to the machine, which has it not: its neighbours still believe so.
    AddressMissing {
        /// The address.
        address: IpAddr,
        /// The device by which they come.
        device: String,
    },
    /// The machine has a route to the address, but does not answer ARP for it (`proxy_arp`).
    ProxyArpOff {
        /// The address that was asked for.
        address: IpAddr,
        /// The device on which the question came.
        device: String,
    },
    /// Somebody did answer for the next hop's address, but on another device.
    NeighbourElsewhere {
        /// The address that was asked for.
        address: IpAddr,
        /// Where it was asked.
        asked_on: String,
        /// Where the answer arrived or went to.
        answered_on: String,
    },
    /// The machine does not forward packets.
    ForwardingOff {
        /// The sysctl that is 0, such as `net.ipv4.ip_forward`.
        sysctl: String,
    },
    /// The way back to the packet's source does not lead out of the device by which the packet came (`rp_filter`).
    ReversePathFilter {
        /// The packet's source.
        source: IpAddr,
        /// Where it came in.
        device: String,
        /// Whether the check is strict (1), or loose (2).
        strict: bool,
    },
    /// The packet's source is one that cannot come from outside: loopback, or an address of the machine itself.
    MartianSource {
        /// The packet's source.
        source: IpAddr,
        /// The sysctl that would let it in.
        sysctl: String,
    },
    /// The packet's destination is one that cannot come from outside: loopback.
    MartianDestination {
        /// The packet's destination.
        destination: IpAddr,
        /// The sysctl that would let it in.
        sysctl: String,
    },
    /// The packet is larger than a link takes, and must not be fragmented.
    TooBig {
        /// The packet's length, where it is known.
        length: Option<usize>,
        /// What fits through the link.
        mtu: u32,
        /// Whether the sender heard of it by an ICMP message.
        sender_heard: bool,
    },
    /// The packet's hop limit was used up.
    TtlExpired {
        /// The hop limit that the packet had when it was sent.
        sent_with: Option<u8>,
    },
    /// A machine sends the packet back to one that had it before, so that it goes round until its TTL or hop limit is used up.
    RoutingLoop {
        /// The machine that gets it once more.
        back_to: String,
        /// The machines of the loop, in the order in which the packet comes to them.
        round: Vec<String>,
        /// The hop limit that the packet had when it was sent.
        sent_with: Option<u8>,
    },
    /// A filter rule, or a chain's policy, drops or rejects the packet.
    Filtered {
        /// The family of the table.
        family: Family,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// The hook of the chain from which the packet came there, such as `forward`.
        hook: Option<String>,
        /// The rule; none if it was the policy.
        rule: Option<FatalRule>,
        /// Whether it is a bridged frame that `bridge-nf-call-*tables` pulled into the hooks of IP.
        pulled_in: bool,
        /// What was dropped, if it is not the packet itself: `ARP`, `neighbour discovery`.
        of: Option<String>,
    },
    /// A rule of NAT sends the packet to where nothing answers.
    TranslatedToSilence {
        /// Where the packet was to go.
        from: SocketAddr,
        /// Where it is sent instead.
        to: SocketAddr,
        /// What is wrong there.
        because: String,
    },
    /// The answer cannot be sent: no route leads back to the asker, whose address nothing translated on the way.
    NoWayBack {
        /// Where the answer should go.
        to: IpAddr,
        /// The machines that forwarded the question as it was.
        forwarded_by: Vec<String>,
    },
    /// The answer comes from another address than was asked, because it went back without passing the NAT.
    AnswerNotTranslated {
        /// Who was asked.
        asked: IpAddr,
        /// Who answers.
        answered: IpAddr,
        /// The machine that translates the questions.
        translator: Option<String>,
    },
    /// The server answers from another of its addresses than was asked.
    AnswersFromOtherAddress {
        /// Who was asked.
        asked: IpAddr,
        /// Who answers.
        answered: IpAddr,
    },
    /// The connection was remembered before the NAT rule was there, which sees only the first packet of each.
    StaleConnection {
        /// The line of `conntrack -L`.
        connection: String,
        /// The rule that it has not met.
        rule: Option<String>,
    },
    /// Nothing listens on the port.
    NobodyListens {
        /// `tcp` or `udp`.
        protocol: String,
        /// The port.
        port: u16,
        /// Who does listen on that port number, such as `other: tcp 10.0.0.9:80`, or on another one of the same machine.
        elsewhere: Vec<String>,
    },
    /// The port is open, but on another address of the machine.
    BoundElsewhere {
        /// `tcp` or `udp`.
        protocol: String,
        /// Who was asked.
        asked: SocketAddr,
        /// What is bound.
        bound: Vec<SocketAddr>,
    },
    /// The port is open on the loopback address only.
    BoundToLoopback {
        /// `tcp` or `udp`.
        protocol: String,
        /// What is bound.
        bound: SocketAddr,
    },
    /// The listener takes IPv6 only (`IPV6_V6ONLY`).
    V6Only {
        /// `tcp` or `udp`.
        protocol: String,
        /// The port.
        port: u16,
    },
    /// The listener's queue of connections that nobody has accepted is full.
    BacklogFull {
        /// What is bound.
        bound: SocketAddr,
        /// How many wait.
        waiting: u32,
        /// How many may.
        limit: u32,
    },
    /// The process that has the socket is stopped.
    ProcessStopped {
        /// Its name.
        name: String,
        /// Its number.
        pid: u32,
    },
    /// The process that has the socket got the question and said nothing.
    NoAnswerFromProcess {
        /// `tcp` or `udp`.
        protocol: String,
        /// What is bound.
        bound: SocketAddr,
        /// What it has not taken: of UDP bytes, of TCP connections.
        untaken: u32,
    },
    /// The machine is told not to answer pings.
    EchoIgnored {
        /// The sysctl that is not 0.
        sysctl: String,
    },
    /// The machine sends from an address to which no answer can come.
    WrongSource {
        /// The source that was chosen.
        source: IpAddr,
        /// The device by which the packet left.
        device: String,
        /// The address of that device that would do.
        better: Option<IpAddr>,
    },
    /// Several machines of a segment have the address.
    DuplicateAddress {
        /// The address.
        address: IpAddr,
        /// Who has it.
        holders: Vec<String>,
    },
    /// A static neighbour entry has the wrong MAC address.
    WrongNeighbour {
        /// The neighbour's address.
        address: IpAddr,
        /// The MAC address of the entry.
        entry: String,
        /// The MAC address of the machine that has the address.
        actual: String,
    },
    /// A static entry of a forwarding database leads to the wrong port.
    WrongFdbEntry {
        /// The MAC address.
        mac: String,
        /// Where the entry leads.
        entry: String,
        /// Where the MAC address is.
        actual: Option<String>,
    },
    /// The far end of a VXLAN is not where its configuration says.
    VxlanPeer {
        /// The VXLAN device.
        device: String,
        /// Where it sends.
        remote: Option<IpAddr>,
        /// Where the other end is.
        actual: Option<IpAddr>,
    },
    /// The two ends of a VXLAN have different network identifiers.
    VxlanVni {
        /// The VXLAN device.
        device: String,
        /// Its identifier.
        vni: u32,
        /// The other end's.
        other: u32,
    },
    /// The two ends of a VXLAN use different UDP ports.
    VxlanPort {
        /// The VXLAN device.
        device: String,
        /// Its port.
        port: u16,
        /// The other end's.
        other: u16,
    },
    /// The address may not be used yet: the kernel still looks for duplicates, or has found one.
    AddressTentative {
        /// The address.
        address: IpAddr,
        /// Whether a duplicate was found.
        duplicate: bool,
    },
    /// The machine waits for a router advertisement that does not come, or does not take it.
    NoRouterAdvertisement {
        /// The device.
        device: String,
        /// Why, where it is known.
        because: Option<String>,
    },
    /// The source that the probe asks from is not an address of the machine.
    NoSuchSource {
        /// The address.
        address: IpAddr,
    },
    /// A queueing discipline, a traffic filter or an XDP program took the packet.
    Impaired {
        /// The device.
        device: String,
        /// The queueing discipline.
        qdisc: String,
    },
}

/// The rule that took the packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FatalRule {
    /// Its handle.
    pub handle: u64,
    /// Its text, as `nft -s list ruleset` prints it.
    pub text: String,
}
