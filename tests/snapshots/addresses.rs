//! `ip addr`.

use netlab::snapshot::{Addresses, Lifetime};
use netlab::{Netns, Result, VethPair};

use crate::oracle::{build, build_what_there_is, same};

const ZOO: &str = "
    link add v0 type veth peer name v1
    link set v0 up
    link set v1 up
    link set v1 alias a_word
    addr add 10.0.0.1/24 dev v0 brd +
    addr add 10.0.0.2/24 dev v0 label v0:1
    addr add 10.9.0.1 peer 10.9.0.2/32 dev v0
    addr add 10.8.0.1/24 dev v0 valid_lft 1000 preferred_lft 500 metric 50 noprefixroute
    addr add 10.7.0.1/24 dev v0 valid_lft 1000 preferred_lft 0 scope 7
    addr add 10.6.0.1/24 dev v1 scope link broadcast 10.6.0.9
    addr add 10.6.0.7/32 dev v1 scope host
    addr add fd00::1/64 dev v0 nodad
    addr add fd01::1/64 dev v0 home mngtmpaddr valid_lft 1000 preferred_lft 0
    addr add fd02::1 peer fd02::2 dev v1 nodad
    addr add fd03::1/128 dev v1 valid_lft 1000 preferred_lft 500 noprefixroute
    addr add fe80::1/64 dev v1
";

fn zoo(name: &str) -> Result<Netns> {
    let ns = Netns::new(name)?;
    build(&ns, ZOO);
    build_what_there_is(&ns, "addr add 239.1.2.3 dev v1 autojoin\n addr add fd04::1/64 dev v1 proto 5\n");
    Ok(ns)
}

fn detect_duplicates(ns: &Netns, dev: &str) {
    ns.run(|| std::fs::write(format!("/proc/sys/net/ipv6/conf/{dev}/accept_dad"), "1")).unwrap().unwrap();
}

#[netlab::test]
fn addresses_read_as_in_ip_addr() -> Result<()> {
    let ns = zoo("zoo")?;
    same(&ns, "addr", || ns.addresses().unwrap().to_string());
    Ok(())
}

#[netlab::test]
fn an_address_of_a_link_that_is_down_is_listed_as_tentative() -> Result<()> {
    let ns = zoo("zoo")?;
    detect_duplicates(&ns, "v1");
    build(&ns, "link set v1 down\naddr add fd05::1/64 dev v1\n");
    assert!(ns.addresses()?.of("v1").any(|address| address.has_flag("tentative")));
    same(&ns, "addr", || ns.addresses().unwrap().to_string());
    Ok(())
}

#[netlab::test]
fn duplicate_address_detection_is_shown_where_it_is_on() -> Result<()> {
    let ns = Netns::new("zoo")?;
    build(&ns, "link add v0 type veth peer name v1\n link set v0 up\n link set v1 up");
    detect_duplicates(&ns, "v0");
    build(&ns, "addr add fd00::1/64 dev v0");
    assert!(ns.addresses()?.of("v0").any(|address| address.net.to_string() == "fd00::1/64" && address.has_flag("tentative")));
    Ok(())
}

#[netlab::test]
fn no_address_is_tentative_right_after_it_was_given() -> Result<()> {
    // The more there are to look after, the longer the kernel takes.
    let many: String = (1..200).map(|n| format!("addr add fd00::{n:x}/64 dev v0\n")).collect();
    for _ in 0..10 {
        let ns = Netns::new("fresh")?;
        build(&ns, &format!("link add v0 type veth peer name v1\n link set v1 up\n link set v0 up\n {many}"));
        let addresses = ns.addresses()?;
        assert!(addresses.of("v0").count() >= 199);
        let tentative: Vec<_> = addresses.iter().filter(|address| address.has_flag("tentative")).collect();
        assert!(tentative.is_empty(), "{tentative:?}");
    }
    Ok(())
}

#[netlab::test]
fn addresses_of_a_cable_between_namespaces_read_as_in_ip_addr() -> Result<()> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let _cable = VethPair::connect(left.iface("eth0").addr("10.0.0.1/24").addr("fd00::1/64"), right.iface("eth0").addr("10.0.0.2/24"))?;
    for ns in [&left, &right] {
        same(ns, "addr", || ns.addresses().unwrap().to_string());
    }
    Ok(())
}

#[netlab::test]
fn fields_say_what_the_text_says() -> Result<()> {
    let ns = zoo("zoo")?;
    let addresses = ns.addresses()?;
    let find = |text: &str| addresses.iter().find(|address| address.net.addr().to_string() == text).unwrap();
    assert!(find("10.0.0.2").has_flag("secondary") && find("10.0.0.2").label.as_deref() == Some("v0:1"));
    assert_eq!(find("10.9.0.1").peer.map(|ip| ip.to_string()).as_deref(), Some("10.9.0.2"));
    assert_eq!((find("10.7.0.1").preferred, find("10.0.0.1").valid), (Some(Lifetime::Seconds(0)), Some(Lifetime::Forever)));
    assert_eq!((find("10.8.0.1").metric, find("10.6.0.1").scope.as_str()), (Some(50), "link"));
    let back: Addresses = serde_json::from_str(&serde_json::to_string(&addresses).unwrap()).unwrap();
    assert_eq!(back, addresses);
    Ok(())
}
