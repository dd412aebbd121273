//! Snapshots that are the same in every run and on every machine.

use netlab::snapshot::RouteQuery;
use netlab::{Netns, Result, VethPair};

use crate::oracle::build;

/// A lab whose MAC addresses and link-local addresses the kernel draws at random.
fn random(name: &str) -> Result<[String; 5]> {
    let ns = Netns::new(name)?;
    build(
        &ns,
        "
        link add br0 type bridge
        link add v0 type veth peer name v1
        link set v0 master br0
        link add w0 type veth peer name w1
        link set w0 master br0
        link set w0 up
        link set w1 up
        link set br0 up
        link set v0 up
        link set v1 up
        addr add 10.0.0.1/24 dev v1 valid_lft 1000 preferred_lft 500
        addr add fd00::1/64 dev v1 nodad
        route add fd12::/64 dev v1 expires 1000
        neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev v1 nud stale
        neigh add 10.0.0.4 lladdr 02:00:00:00:00:04 dev v1 nud reachable
        neigh add fd00::3 lladdr 02:00:00:00:00:03 dev v1
        ",
    );
    Ok([
        ns.links()?.normalised().detailed().to_string(),
        ns.addresses()?.normalised().to_string(),
        ns.routes_of(RouteQuery::all_tables())?.normalised().to_string(),
        ns.rules()?.normalised().to_string(),
        ns.neighbours()?.normalised().to_string(),
    ])
}

#[netlab::test]
fn a_route_table_is_the_same_in_every_run() -> Result<()> {
    let table = |name: &str| -> Result<String> {
        let (host, router) = (Netns::new(name)?, Netns::new(format!("{name}-router"))?);
        let _lan = VethPair::connect(
            host.iface("eth0").addr("10.0.0.2/24").addr("fd00::2/64").gateway("10.0.0.1"),
            router.iface("lan0").addr("10.0.0.1/24"),
        )?;
        Ok(host.routes()?.to_string())
    };
    let first = table("laptop")?;
    assert_eq!(table("other")?, first, "another name draws other MAC addresses, and the table is the same");
    insta::assert_snapshot!(first, @"
    default via 10.0.0.1 dev eth0 
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.2 
    ");
    Ok(())
}

#[netlab::test]
fn normalised_listings_are_the_same_in_two_random_labs() -> Result<()> {
    let first = random("first")?;
    for _ in 0..5 {
        for (again, first) in random("second")?.iter().zip(&first) {
            let different = again.lines().zip(first.lines()).find(|(again, first)| again != first);
            assert_eq!(different, None);
            assert_eq!(again, first);
        }
    }
    Ok(())
}

#[netlab::test]
fn without_normalising_two_random_labs_differ() -> Result<()> {
    let links = |name: &str| -> Result<String> {
        let ns = Netns::new(name)?;
        build(&ns, "link add v0 type veth peer name v1");
        Ok(ns.links()?.to_string())
    };
    assert_ne!(links("first")?, links("second")?);
    Ok(())
}

#[netlab::test]
fn normalised_links_and_addresses_read_like_this() -> Result<()> {
    let [_, addresses, _, _, neighbours] = random("lab")?;
    let v1: Vec<_> = addresses.lines().skip_while(|line| !line.starts_with("3: v1")).take(9).collect();
    insta::assert_snapshot!(v1.join("\n"), @"
    3: v1@v0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
        link/ether <mac of v1> brd ff:ff:ff:ff:ff:ff
        inet 10.0.0.1/24 scope global dynamic v1
           valid_lft limited preferred_lft limited
        inet6 fd00::1/64 scope global nodad 
           valid_lft forever preferred_lft forever
        inet6 fe80::ff:fe00:2/64 scope link 
           valid_lft forever preferred_lft forever
    4: v0@v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master br0 state UP group default qlen 1000
    ");
    insta::assert_snapshot!(neighbours, @"
    10.0.0.3 dev v1 lladdr <mac 1> KNOWN 
    10.0.0.4 dev v1 lladdr <mac 2> KNOWN 
    fd00::3 dev v1 lladdr <mac 1> PERMANENT 
    ");
    Ok(())
}

#[netlab::test]
fn normalising_twice_changes_nothing() -> Result<()> {
    let ns = Netns::new("lab")?;
    build(&ns, "link add v0 type veth peer name v1\n link set v0 up\n link set v1 up\n neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev v1");
    let (links, addresses, neighbours) = (ns.links()?.normalised(), ns.addresses()?.normalised(), ns.neighbours()?.normalised());
    assert_eq!(links.clone().normalised(), links);
    assert_eq!(addresses.clone().normalised(), addresses);
    assert_eq!(neighbours.clone().normalised(), neighbours);
    Ok(())
}
