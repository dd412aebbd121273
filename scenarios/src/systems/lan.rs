//! Containers on the network of their host, without a bridge between.

use netlab::{Ipvlan, Macvlan, Macvtap, Netns, Tun, VethPair, Vlan};

use super::hypervisor::Hypervisor;
use crate::ask::hardware;
use crate::error::Result;
use crate::stage::Stage;
use crate::world::World;

const CON: &str = "con";
const LAPTOP: &str = "laptop";
const HOST_ADDRESS: &str = "192.168.0.100";
const CON_ADDRESS: &str = "192.168.0.150";
const LAPTOP_ADDRESS: &str = "192.168.0.50";
const MACVLAN: &str = "the container's interface";
const VM: &str = "vm";
const VM_ADDRESS: &str = "192.168.0.160";
/// That of the guest's interface and of its card: the frames that are for it come to the card.
const VM_MAC: &str = "52:54:00:12:34:56";
const HYPERVISOR: &str = "the hypervisor";
const CARD: &str = "the guest's card";
const GUEST: &str = "the guest's interface";

pub(super) const SYSTEMS: &[Stage] = &[
    Stage {
        id: "systems.macvlan",
        title: "a MAC address on the host's network",
        afresh: true,
        kernel: &["macvlan"],
        claim: "The container has an address of the host's own network, and is reached there as any other computer.",
        truth: "It is, and sees the others' addresses: nothing translates or forwards. But the host and the container do not reach each other: \
                what one of them sends to the other leaves by the cable and is not sent back. A macvlan of the host's own is the cure.",
        commands: &[
            "ip link add eth0 link eth0 netns con type macvlan mode bridge",
            "ip -n con address add 192.168.0.150/24 dev eth0; ip -n con link set eth0 up",
        ],
        scene: home,
        before: |w, s| s.no_reply(&w.machine(LAPTOP)?, CON_ADDRESS, libc::EHOSTUNREACH),
        change: |w| {
            let parent = w.host().link("eth0")?;
            let eth0 = w.machine(CON)?.iface("eth0").addr(format!("{CON_ADDRESS}/24"));
            w.keep(MACVLAN, Macvlan::bridge(eth0, parent)?);
            Ok(())
        },
        check: |w, s| {
            let (host, con, laptop) = (w.host(), w.machine(CON)?, w.machine(LAPTOP)?);
            let server = con.http_server(format!("{CON_ADDRESS}:80"))?;
            s.served_as(&laptop, CON_ADDRESS, server.name(), LAPTOP_ADDRESS)?;
            s.replies_with_ttl(&laptop, CON_ADDRESS, 64)?;
            s.no_reply(&host, CON_ADDRESS, libc::EHOSTUNREACH)?;
            s.no_reply(&con, HOST_ADDRESS, libc::EHOSTUNREACH)?;
            s.with("a macvlan of the host's own");
            let shim = host.iface("shim0").addr("192.168.0.101/32");
            let _shim = Macvlan::bridge(shim, host.link("eth0")?)?;
            let _way = netlab::Route::to(format!("{CON_ADDRESS}/32")).dev("shim0").install(&host)?;
            s.replies(&host, CON_ADDRESS)
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.macvtap",
        title: "the network card of a virtual machine",
        afresh: true,
        kernel: &["macvtap"],
        machine: &["/dev/net/tun", "/dev/tap"],
        claim: "A virtual machine is on the host's network by a card that is a file of the host, without a bridge: what the hypervisor writes \
                to the file leaves by the host's cable.",
        truth: "The card is a macvlan, whose frames nobody of the host's network gets but who opens /dev/tapN, where N is its index. It has the \
                guest's MAC address, and no other. Host and guest do not reach each other, as with macvlan. Here the guest is a namespace with a TAP \
                interface, and the hypervisor copies frames from the one file to the other, as QEMU does.",
        commands: &[
            "ip link add macvtap0 link eth0 address 52:54:00:12:34:56 type macvtap mode bridge; ip link set macvtap0 up",
            "N=$(cat /sys/class/net/macvtap0/ifindex)",
            "qemu-system-x86_64 -device virtio-net-pci,mac=52:54:00:12:34:56,netdev=n -netdev tap,id=n,fd=3 3<>/dev/tap$N",
            "ip address add 192.168.0.160/24 dev eth0  # in the guest",
        ],
        scene: |w| {
            home(w)?;
            w.add(Netns::new(VM)?);
            Ok(())
        },
        before: |w, s| s.no_reply(&w.machine(LAPTOP)?, VM_ADDRESS, libc::EHOSTUNREACH),
        change: |w| {
            let card = Macvtap::bridge(w.host().iface("macvtap0").mac(VM_MAC), w.host().link("eth0")?)?;
            let guest = Tun::tap(w.machine(VM)?.iface("eth0").mac(VM_MAC).addr(format!("{VM_ADDRESS}/24")))?;
            w.keep(HYPERVISOR, Hypervisor::start(&guest, &card)?);
            w.keep(CARD, card);
            w.keep(GUEST, guest);
            Ok(())
        },
        check: |w, s| {
            let (host, laptop) = (w.host(), w.machine(LAPTOP)?);
            s.replies_with_ttl(&laptop, VM_ADDRESS, 64)?;
            let server = w.machine(VM)?.http_server(format!("{VM_ADDRESS}:80"))?;
            s.served_as(&laptop, VM_ADDRESS, server.name(), LAPTOP_ADDRESS)?;
            s.has_neighbour(&laptop, "it sees the card's MAC address", &format!("{VM_ADDRESS} dev eth0 lladdr {VM_MAC}"))?;
            let own = hardware(&host, "eth0")?;
            s.holds("host: its own interface has another", &own, own != VM_MAC)?;
            s.ipv4_addresses(&host, "the card has no address", "macvtap0", "none")?;
            s.no_reply(&host, VM_ADDRESS, libc::EHOSTUNREACH)?;
            s.no_reply(&w.machine(VM)?, HOST_ADDRESS, libc::EHOSTUNREACH)?;
            s.without("the hypervisor");
            drop(w.take::<Hypervisor>(HYPERVISOR)?);
            laptop.link("eth0")?.flush_neighbours()?;
            s.no_reply(&laptop, VM_ADDRESS, libc::EHOSTUNREACH)?;
            s.with("a hypervisor again");
            let _hypervisor = Hypervisor::start(w.kept::<Tun>(GUEST)?, w.kept::<Macvtap>(CARD)?)?;
            s.served(&laptop, VM_ADDRESS, server.name())
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.ipvlan",
        title: "an IP address on the host's network",
        afresh: true,
        kernel: &["ipvlan"],
        claim: "As macvlan, but all share the host's MAC address, for networks that allow one of them a port.",
        truth: "The neighbours see the host's MAC address for the container's IP address.",
        commands: &["ip link add eth0 link eth0 netns con type ipvlan mode l2", "ip -n con address add 192.168.0.150/24 dev eth0"],
        scene: home,
        before: |w, s| s.no_reply(&w.machine(LAPTOP)?, CON_ADDRESS, libc::EHOSTUNREACH),
        change: |w| {
            let parent = w.host().link("eth0")?;
            let eth0 = w.machine(CON)?.iface("eth0").addr(format!("{CON_ADDRESS}/24"));
            w.keep(MACVLAN, Ipvlan::l2(eth0, parent)?);
            Ok(())
        },
        check: |w, s| {
            let laptop = w.machine(LAPTOP)?;
            s.replies_with_ttl(&laptop, CON_ADDRESS, 64)?;
            s.replies(&laptop, HOST_ADDRESS)?;
            let neighbours = laptop.neighbours()?;
            let macs: Vec<_> = neighbours.iter().filter_map(|neighbour| neighbour.mac.clone()).collect();
            s.holds("laptop: both have one MAC address", &neighbours, macs.len() == 2 && macs[0] == macs[1])
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.vlan",
        title: "a network of its own on the host's cable",
        afresh: true,
        kernel: &["vlan"],
        claim: "Frames with a tag are a network of their own, apart from those without.",
        truth: "Ends with the same tag reach each other.",
        commands: &["ip link add link eth0 name eth0.42 type vlan id 42; ip address add 10.42.0.1/24 dev eth0.42; ip link set eth0.42 up"],
        scene: home,
        before: |w, s| s.no_reply(&w.machine(LAPTOP)?, "10.42.0.1", libc::ENETUNREACH),
        change: |w| {
            for (netns, address) in [(w.host(), "10.42.0.1/24"), (w.machine(LAPTOP)?, "10.42.0.2/24")] {
                let vlan = Vlan::new(netns.iface("eth0.42").addr(address), netns.link("eth0")?, 42)?;
                w.keep(format!("the VLAN of {netns}"), vlan);
            }
            Ok(())
        },
        check: |w, s| s.replies(&w.machine(LAPTOP)?, "10.42.0.1"),
        ..Stage::STILL
    },
];

/// The host and a laptop on one cable, and a container without a network.
fn home(world: &mut World) -> Result<()> {
    let host = world.host();
    let laptop = world.add(Netns::new(LAPTOP)?);
    world.add(Netns::new(CON)?);
    let cable = VethPair::connect(
        host.iface("eth0").addr(format!("{HOST_ADDRESS}/24")),
        laptop.iface("eth0").addr(format!("{LAPTOP_ADDRESS}/24")),
    )?;
    world.keep_cable(cable);
    Ok(())
}
