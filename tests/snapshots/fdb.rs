//! `bridge fdb`.

use netlab::snapshot::{Fdb, NeighbourState};
use netlab::{Bridge, Netns, Result};

use crate::oracle::{bridge, build, build_what_there_is};

const ZOO: &str = "
    link add br0 type bridge
    link add p0 type veth peer name p1
    link set p0 master br0
    link set br0 up
    link set p0 up
    link set p1 up
";

#[netlab::test]
fn forwarding_databases_read_as_in_bridge_fdb() -> Result<()> {
    let ns = Netns::new("zoo")?;
    build(&ns, ZOO);
    build_what_there_is(&ns, "link add vx0 type vxlan id 42 dstport 4789 local 127.0.0.1 dev lo");
    for entry in [
        "02:00:00:00:00:01 dev p0 master static",
        "02:00:00:00:00:02 dev p0 master static sticky",
        "02:00:00:00:00:03 dev p0 master extern_learn",
        "02:00:00:00:00:04 dev p0 master dynamic",
        "02:00:00:00:00:05 dev p0 self permanent",
        "02:00:00:00:00:06 dev br0 self permanent",
        "02:00:00:00:00:07 dev vx0 dst 192.0.2.1 port 4790 vni 43 via lo",
        "02:00:00:00:00:08 dev vx0 dst 192.0.2.2 self permanent router",
    ] {
        // What this kernel does not take leaves the zoo poorer, no more.
        bridge(&ns, &format!("fdb add {entry}")).unwrap_or_default();
    }
    let theirs = bridge(&ns, "fdb show").expect("`bridge` comes with iproute2");
    assert!(theirs.contains("02:00:00:00:00:01 dev p0 master br0 static"), "{theirs}");
    assert_eq!(ns.fdb()?.to_string(), theirs);
    Ok(())
}

#[netlab::test]
fn a_bridge_learns_from_what_it_forwards_and_from_nothing_else() -> Result<()> {
    let switch = Netns::new("switch")?;
    let lan = Bridge::new(switch.iface("br0"))?;
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    for netns in [&switch, &left, &right] {
        netns.set_sysctl("net.ipv6.conf.all.disable_ipv6", 1)?.keep(); // whose multicast is forwarded, too
        netns.set_sysctl("net.ipv6.conf.default.disable_ipv6", 1)?.keep();
    }
    let _left = lan.plug(left.iface("eth0").addr("10.0.0.1/24").mac("02:00:00:00:00:0a"))?;
    let _right = lan.plug(right.iface("eth0").addr("10.0.0.2/24").mac("02:00:00:00:00:0b"))?;
    let learned = || -> Result<Vec<String>> {
        let mut all: Vec<_> = switch.fdb()?.learned_by("br0").map(|entry| format!("{} {}", entry.dev, entry.mac)).collect();
        all.sort();
        Ok(all)
    };
    assert_eq!(learned()?, [""; 0]);
    left.expect_ping("10.0.0.2")?;
    assert_eq!(learned()?, ["left 02:00:00:00:00:0a", "right 02:00:00:00:00:0b"]);
    let fdb = switch.fdb()?;
    let own = fdb.iter().find(|entry| entry.dev == "left" && entry.state == NeighbourState::Permanent && entry.master.is_some());
    assert!(own.is_some(), "{fdb}");
    let back: Fdb = serde_json::from_str(&serde_json::to_string(&fdb).unwrap()).unwrap();
    assert_eq!(back, fdb);
    Ok(())
}
