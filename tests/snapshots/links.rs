//! `ip link` and `ip -d link`.

use netlab::snapshot::{Links, Peer};
use netlab::{Netns, Result, VethPair};

use crate::oracle::{build, build_what_there_is, ip, same};

const ZOO: &str = "
    link add br0 type bridge
    link add v0 type veth peer name v1
    link set v1 master br0
    link set v0 up
    link set v1 up
    link set br0 up mtu 1400
    link add quiet type veth peer name dark
    link set quiet up
    link add d0 address 02:00:00:00:00:77 mtu 1234 txqueuelen 77 type veth peer name d1 mtu 9000 txqueuelen 0
    link set d1 alias a_word
    link property add dev d1 altname second altname third
    link set d0 multicast off
    link set d0 arp off
    link set d0 promisc on
    link set d0 allmulticast on
    link set d0 group 7
    link set d1 mode dormant
    link set quiet addrgenmode none
    link set dark addrgenmode random
    link add br1 type bridge stp_state 1 forward_delay 400 ageing_time 100 priority 4096 group_fwd_mask 16392 mcast_snooping 0 mcast_querier 1
    link add p0 type veth peer name p1
    link set p0 master br1
    link set p0 type bridge_slave hairpin on isolated on guard on root_block on learning off flood off cost 7 priority 9 group_fwd_mask 16392
    link set p0 type bridge_slave neigh_suppress on mcast_to_unicast on proxy_arp on locked on mcast_fast_leave on mcast_flood off bcast_flood off
";

/// Not every kernel has these.
const MORE: &str = "
    link add vx0 type vxlan id 42 dstport 4789 local 10.0.0.1 remote 10.0.0.2 dev v0
    link set vx0 master br0
    link add vx1 type vxlan id 43 dstport 4789 group 239.1.1.1 dev br0 ttl 5 tos 4 nolearning proxy rsc l2miss l3miss noudpcsum ageing 100 gbp
    link add vx2 type vxlan id 44 dstport 4790 local fd00::1 remote fd00::2 df set flowlabel 5 udp6zerocsumtx udp6zerocsumrx maxaddress 10
    link add vx3 type vxlan external vnifilter dstport 8472
    link add vx4 type vxlan external dstport 8473
    link add vx5 type vxlan id 10 dstport 4791 tos inherit ttl inherit remcsumtx remcsumrx ageing 0 df inherit srcport 100 200
    link add mv0 link v0 type macvlan mode bridge
    link add mv1 link br0 type macvlan mode source macaddr set 02:00:00:00:00:01 02:00:00:00:00:02
    link add mv2 link br0 type macvlan mode private bcqueuelen 50
    link add mv3 link p1 type macvlan mode passthru nopromisc
    link add mt0 link v0 type macvtap
    tuntap add tap0 mode tap
    tuntap add tun0 mode tun user 0 group 0
    tuntap add tap1 mode tap multi_queue vnet_hdr pi
    link set tap0 up
    link set tun0 up
    link add ifb0 type ifb
    link set vx5 protodown on
";

fn zoo(name: &str) -> Result<Netns> {
    let ns = Netns::new(name)?;
    build(&ns, ZOO);
    println!("{} of {} further kinds", build_what_there_is(&ns, MORE), MORE.trim().lines().count());
    Ok(ns)
}

#[netlab::test]
fn links_read_as_in_ip_link() -> Result<()> {
    let ns = zoo("zoo")?;
    same(&ns, "link", || ns.links().unwrap().to_string());
    Ok(())
}

#[netlab::test]
fn detailed_links_read_as_in_ip_d_link() -> Result<()> {
    let ns = zoo("zoo")?;
    same(&ns, "-d link", || format!("{:#}", ns.links().unwrap()));
    same(&ns, "-d link", || ns.links().unwrap().detailed().to_string());
    Ok(())
}

#[netlab::test]
fn a_cable_between_namespaces_shows_the_id_of_the_other_one() -> Result<()> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let cable = VethPair::connect(left.iface("eth0"), right.iface("eth0"))?;
    for ns in [&left, &right] {
        same(ns, "link", || ns.links().unwrap().to_string());
        same(ns, "-d link", || ns.links().unwrap().detailed().to_string());
    }
    let links = left.links()?;
    let eth0 = links.named("eth0").unwrap();
    assert_eq!(eth0.peer, Some(Peer::Elsewhere(cable.right().index())));
    assert!(eth0.link_netnsid.is_some() && eth0.is_up() && eth0.has_carrier());
    cable.right().down()?;
    assert!(left.links()?.named("eth0").unwrap().has_flag("NO-CARRIER"));
    same(&left, "link", || left.links().unwrap().to_string());
    Ok(())
}

#[netlab::test]
fn a_dropped_cable_is_not_listed() -> Result<()> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let cable = VethPair::connect(left.iface("eth0"), right.iface("eth0"))?;
    assert_eq!(left.links()?.len(), 2);
    drop(cable);
    assert_eq!(left.links()?.len(), 1);
    same(&left, "link", || left.links().unwrap().to_string());
    Ok(())
}

#[netlab::test]
fn fields_say_what_the_text_says() -> Result<()> {
    let ns = zoo("zoo")?;
    let links = ns.links()?;
    let d0 = links.named("d0").unwrap();
    assert_eq!((d0.mtu, d0.qlen, d0.mac.as_deref(), d0.group.as_deref()), (1234, 77, Some("02:00:00:00:00:77"), Some("7")));
    assert!(d0.has_flag("PROMISC") && !d0.is_up());
    let v1 = links.named("v1").unwrap();
    assert_eq!((v1.master.as_deref(), &v1.peer), (Some("br0"), &Some(Peer::Here("v0".to_owned()))));
    let p0 = links.named("p0").unwrap().port.as_ref().unwrap();
    assert_eq!((p0.kind.as_str(), p0.get("hairpin"), p0.get("cost")), ("bridge_slave", Some("on"), Some("7")));
    assert_eq!(links.named("d1").unwrap().altnames, ["second", "third"]);
    assert!(links.named("br9").is_none());
    Ok(())
}

#[netlab::test]
fn links_survive_json() -> Result<()> {
    let ns = zoo("zoo")?;
    let links = ns.links()?;
    let back: Links = serde_json::from_str(&serde_json::to_string(&links).unwrap()).unwrap();
    assert_eq!(back, links);
    assert!(ip(&ns, "link").starts_with(&back.to_string()[..20]));
    Ok(())
}
