//! Tests that fail, each in its way, and some that do not. They are ignored here, and run by the others.

use std::time::Duration;

use netlab::{
    Bridge, Fdb, FilterRule, Macvlan, NatRule, Neigh, Netns, Policy, Probe, Process, Responder, Result, Route, Rule, VethPair, Vxlan,
};

/// Two machines and what hangs on them: a lab with something of everything.
struct Lab {
    _cable: VethPair,
    _rule: FilterRule,
    _web: Responder,
    _program: Process,
    laptop: Netns,
    server: Netns,
}

fn lab() -> Result<Lab> {
    let (laptop, server) = (Netns::new("laptop")?, Netns::new("server")?);
    let cable = VethPair::connect(
        laptop.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"),
        server.iface("eth0").addr("10.0.0.1/24").mtu(1400),
    )?;
    server.forward_ipv4()?;
    let rule = FilterRule::drop(&server).input().install()?;
    let web = server.http_server("10.0.0.1:80")?;
    let program = server.process("sh").args(["-c", "echo to the log; echo an error >&2; exec sleep 1000"]).prints("to the log").start()?;
    Ok(Lab { _cable: cable, _rule: rule, _web: web, _program: program, laptop, server })
}

#[netlab::test]
#[ignore = "panics"]
fn panics() {
    let lab = lab().unwrap();
    assert_eq!(lab.laptop.name(), "somebody else");
}

#[netlab::test]
#[ignore = "fails"]
fn returns_an_error() -> Result<()> {
    let lab = lab()?;
    lab.laptop.probe(Probe::udp("10.0.0.1:9").within(Duration::from_millis(100)))?;
    Ok(())
}

#[netlab::test]
#[ignore = "fails"]
fn returns_an_error_of_what_was_mended_since() -> Result<()> {
    let lab = lab()?;
    let end = lab.server.link("eth0")?;
    end.down()?;
    let error = lab.laptop.expect_ping("10.0.0.1").unwrap_err();
    end.up()?;
    Err(error)
}

#[netlab::test]
#[ignore = "fails"]
fn returns_an_error_in_a_box() -> Result<(), Box<dyn std::error::Error>> {
    let lab = lab()?;
    lab.server.link("eth7")?;
    Ok(())
}

#[netlab::test]
#[ignore = "fails"]
fn returns_a_strange_error() -> Result<(), String> {
    let _lab = lab().unwrap();
    Err("nothing of netlab's".to_owned())
}

#[netlab::test(timeout = "300ms")]
#[ignore = "hangs"]
fn hangs() -> Result<()> {
    let _lab = lab()?;
    loop {
        std::thread::park();
    }
}

#[netlab::test]
#[ignore = "fails"]
fn cannot_build() -> Result<()> {
    let laptop = Netns::new("laptop")?;
    let _one = VethPair::connect(laptop.iface("eth0"), laptop.iface("eth1"))?;
    let _two = VethPair::connect(laptop.iface("eth1"), laptop.iface("eth2"))?;
    Ok(())
}

#[netlab::test]
#[ignore = "fails"]
fn panics_elsewhere() -> Result<()> {
    let lab = lab()?;
    lab.server.run(|| panic!("in the server"))?;
    Ok(())
}

#[netlab::test]
#[ignore = "is run by others"]
fn passes() -> Result<()> {
    let _lab = lab()?;
    Ok(())
}

#[netlab::test]
#[ignore = "is run by others"]
fn deals_with_its_errors() -> Result<()> {
    let lab = lab()?;
    assert!(lab.laptop.link("eth7").is_err_and(|e| e.is_not_found()));
    let error = lab.laptop.link("eth8").unwrap_err();
    assert!(std::panic::catch_unwind(|| panic!("caught")).is_err());
    drop(lab);
    assert!(error.is_not_found());
    Ok(())
}

#[netlab::test]
#[ignore = "is run by others"]
#[should_panic = "as it should"]
fn panics_as_it_should() {
    let _lab = lab().unwrap();
    panic!("as it should");
}

#[netlab::test]
#[ignore = "fails"]
#[should_panic = "as it should"]
fn panics_otherwise() {
    let _lab = lab().unwrap();
    panic!("otherwise");
}

/// Something of everything that can be built by hand on every kernel.
#[netlab::test]
#[ignore = "fails"]
fn everything() -> Result<()> {
    let host = Netns::current()?;
    let (router, pod, far) = (Netns::new("router")?, Netns::new("pod 2")?, Netns::new("far")?);
    let switch = Bridge::new(host.iface("br0").addr("10.0.0.1/24").addr("fd00::1/64"))?;
    switch.set_ageing(6000)?;
    let first = switch.plug(router.iface("eth0").addr("10.0.0.2/24").addr("10.0.0.3/24").addr("fd00::2/64").gateway("10.0.0.1"))?;
    let second = switch.plug(pod.iface("eth0").addr("10.0.0.4/24").mtu(1400).mac("02:00:00:00:00:44").gateway("10.0.0.1"))?;
    for cable in [&first, &second] {
        let port = [cable.left(), cable.right()].into_iter().find(|link| link.netns().is_same(&host)).unwrap();
        port.set_isolated(true)?;
        port.set_hairpin(true)?;
        port.set_learning(false)?;
    }
    let _wan = VethPair::connect(router.iface("wan.5").addr("192.0.2.1/30").mtu(9000), far.iface("wan0").addr("192.0.2.2/30"))?;
    let _unused = VethPair::connect(far.iface("here0").down(), far.iface("there0").down())?;
    let near = Vxlan::id(42).local("192.0.2.1").remote("192.0.2.2").no_learning().install(router.iface("vx0").addr("10.42.0.1/24"))?;
    let _away = Vxlan::id(42).local("192.0.2.2").port(4789).underlay(&far).install(pod.iface("vx0").addr("10.42.0.2/24"))?;
    let _container = Macvlan::bridge(pod.iface("mac0").addr("192.0.2.6/30"), router.link("wan.5")?)?;
    let _told = Fdb::entry("02:00:00:00:00:99").dev("vx0").dst("192.0.2.9").install(&router)?;
    let _flood = Fdb::flood().dev("vx0").dst("192.0.2.10").install(&router)?;
    let _neighbour = Neigh::permanent("10.0.0.77", "02:00:00:00:00:77").dev("eth0").install(&router)?;
    let _neighbour6 = Neigh::permanent("fd00::77", "02:00:00:00:00:77").dev("eth0").install(&router)?;
    let _proxy = Neigh::proxy("10.0.0.78").dev("eth0").install(&router)?;
    let _routes = [
        Route::to("10.1.0.0/16").via("10.0.0.1").metric(7).mtu(1300).install(&router)?,
        Route::to("10.2.0.0/16").nexthop("10.0.0.1", "eth0", 1).nexthop("192.0.2.2", "wan.5", 3).install(&router)?,
        Route::to("10.3.0.0/16").via("198.51.100.1").dev("wan.5").onlink().table(100).install(&router)?,
        Route::to("198.51.100.0/24").dev("wan.5").scope_link().install(&router)?,
        Route::blackhole("10.4.0.0/16").install(&router)?,
        Route::unreachable("fd04::/64").install(&router)?,
        Route::to("fd05::/64").via("fd00::1").install(&router)?,
        Route::local("10.6.0.0/24").dev("lo").table(100).install(&router)?,
    ];
    let _rules = [
        Rule::lookup(100).from("10.9.0.0/16").fwmark(1).priority(50).install(&router)?,
        Rule::lookup(100).ipv6().from("fd09::/64").priority(51).install(&router)?,
        Rule::prohibit().to("10.8.0.0/16").priority(52).iif("eth0").install(&router)?,
    ];
    router.forward_ipv4()?;
    host.forward_ipv6()?;
    router.set_rp_filter(netlab::RpFilter::Strict)?;
    near.link().set_proxy_arp(true)?;
    router.set_sysctl("net.ipv4.ip_local_port_range", "20000 30000")?.keep();
    let _nat = NatRule::masquerade(&router).out("wan.5").install()?;
    let _dnat = NatRule::iptables(&router, "-t nat -A PREROUTING -i eth0 -p tcp --dport 80 -j DNAT --to-destination 192.0.2.2:8080")?;
    let _policy = Policy::drop(&pod).input().install()?;
    let _web = far.http_server("192.0.2.2:8080")?;
    let _echo = pod.serve("pod2").udp_echo("10.0.0.4:7000")?;
    far.probe(Probe::ping("192.0.2.1"))?;
    host.probe(Probe::udp("10.0.0.4:7000").within(Duration::from_millis(100)))?;
    Ok(())
}

#[netlab::test(timeout = "2s")]
#[ignore = "waits for somebody"]
fn pauses() -> Result<()> {
    let lab = lab()?;
    lab.server.file("/etc/resolv.conf").write("nameserver 10.0.0.9\n")?;
    netlab::pause();
    println!("it went on");
    Ok(())
}

#[netlab::test(timeout = "2s")]
#[ignore = "waits for somebody"]
fn panics_slowly() {
    let lab = lab().unwrap();
    assert_eq!(lab.laptop.name(), "somebody else");
}

struct Ten {
    _switch: Bridge,
    machines: Vec<(Netns, VethPair)>,
    _closed: Policy,
}

/// Ten machines at a switch, of which the last one has a firewall.
fn ten() -> Result<Ten> {
    let switch = Bridge::new(Netns::new("switch")?.iface("br0"))?;
    let mut machines = Vec::new();
    for number in 1..10 {
        let machine = Netns::new(format!("host{number}"))?;
        let cable = switch.plug(machine.iface("eth0").addr(format!("10.0.0.{number}/24")))?;
        machines.push((machine, cable));
    }
    let closed = Policy::drop(&machines[8].0).input().install()?;
    Ok(Ten { _switch: switch, machines, _closed: closed })
}

#[netlab::test]
#[ignore = "fails"]
fn panics_with_ten_machines() {
    let _lab = ten().unwrap();
    panic!("with ten machines");
}

#[netlab::test]
#[ignore = "fails"]
fn asks_in_vain_among_ten_machines() -> Result<()> {
    let lab = ten()?;
    lab.machines[0].0.probe(Probe::udp("10.0.0.9:7000").within(Duration::from_millis(10)))?;
    Ok(())
}
