//! `ip route`.

use netlab::snapshot::{RouteKind, RouteQuery, Routes};
use netlab::{Netns, Result};

use crate::oracle::{build, build_what_there_is, ip, same};

const ZOO: &str = "
    link add v0 type veth peer name v1
    link set v0 up
    link set v1 up
    addr add 10.0.0.1/24 dev v0
    addr add 10.0.0.2/24 dev v0
    addr add fd00::1/64 dev v0 nodad
    route add default via 10.0.0.9 metric 7 proto static
    route add 10.1.0.0/16 via 10.0.0.9
    route add 10.1.1.1 dev v0
    route add 10.2.0.0/16 via 10.0.0.9 src 10.0.0.2 tos 0x10 realm 5 mtu lock 1400 advmss 1000 cwnd 5 congctl cubic features ecn quickack 1
    route add 10.2.1.0/24 via 10.0.0.9 rto_min 20ms window 1000 hoplimit 3 initcwnd 10 initrwnd 12 rtt 100ms rttvar 50ms ssthresh 9 reordering 4
    route add 10.2.2.0/24 via 10.0.0.9 mtu 1300 advmss lock 1000 realm 1/2 rtt 1500ms fastopen_no_cookie 1
    route add 10.3.0.0/16 via 172.16.0.1 dev v0 onlink metric 3
    route add 10.4.0.0/16 dev v0 scope link src 10.0.0.1
    route add 10.4.0.0/16 dev v1 metric 9 proto 77
    route add blackhole 10.5.0.0/16
    route add unreachable 10.5.0.0/24 metric 9
    route add prohibit 10.5.1.0/24
    route add throw 10.5.2.0/24 proto bird
    route add multicast 239.0.0.0/8 dev v0
    route add broadcast 10.13.0.255 dev v0
    route add anycast 10.13.0.9 dev v0
    route add 10.11.0.0/16 nexthop via 10.0.0.9 weight 2 nexthop via 10.7.0.8 dev v0 onlink nexthop dev v1
    route add 10.19.0.0/16 nexthop via 10.0.0.9 realm 3 nexthop via 10.0.0.8 realm 4/5
    route add 10.12.0.0/16 via 10.0.0.9 table 100
    route add default dev v1 table 100
    route add 10.13.0.0/16 via 10.0.0.9 table 5000
    route add default via inet6 fe80::9 dev v0 metric 99
    route add fd10::/64 via fd00::9 pref high
    route add blackhole fd11::/64
    route add unreachable ::/0 metric 9
    route add prohibit fd16::/64
    route add throw fd17::/64
    route add fd12::/64 dev v0 expires 1000
    route add fd13::/64 nexthop via fd00::8 nexthop via fd00::9 weight 3
    route add fd15::/64 via fd00::9 mtu 1300 src fd00::1 table 100
    route add fd18::1 via fe80::9 dev v0 metric 5 pref low proto ra
    route add default via fd00::9
";

/// Not every kernel has these.
const MORE: &str = "
    route add fd14::/64 from fd00::/64 dev v0
    nexthop add id 5 via 10.0.0.9 dev v0
    nexthop add id 6 via 10.0.0.8 dev v0
    nexthop add id 7 group 5/6,3
    nexthop add id 8 blackhole
    nexthop add id 9 via fd00::9 dev v0
    route add 10.14.0.0/16 nhid 5
    route add 10.15.0.0/16 nhid 7
    route add 10.16.0.0/16 nhid 8
    route add fd19::/64 nhid 9
    route add 10.17.0.0/16 encap ip id 9 dst 1.2.3.4 ttl 7 tos 3 dev v0
    route add 10.18.0.0/16 nexthop via 10.0.0.9 encap ip id 5 dst 1.2.3.5 nexthop via 10.0.0.8
";

const VIEWS: [&str; 9] = [
    "route",
    "-6 route",
    "route show table local",
    "-6 route show table local",
    "route show table 100",
    "-6 route show table 100",
    "route show table all",
    "-4 route show table all",
    "-6 route show table all",
];

fn zoo(name: &str) -> Result<Netns> {
    let ns = Netns::new(name)?;
    build(&ns, ZOO);
    println!("{} of {} further routes", build_what_there_is(&ns, MORE), MORE.trim().lines().count());
    Ok(ns)
}

fn view(ns: &Netns, arguments: &str) -> String {
    let query = match arguments.rsplit_once(" table ").map(|(_, table)| table) {
        Some("all") => RouteQuery::all_tables(),
        Some(table) => RouteQuery::table(table),
        None => RouteQuery::main(),
    };
    let query = match arguments.split(' ').next() {
        Some("-4") => query.ipv4(),
        Some("-6") => query.ipv6(),
        _ => query,
    };
    ns.routes_of(query).unwrap().to_string()
}

#[netlab::test]
fn routes_read_as_in_ip_route() -> Result<()> {
    let ns = zoo("zoo")?;
    same(&ns, "route", || ns.routes().unwrap().to_string());
    for arguments in VIEWS {
        same(&ns, arguments, || view(&ns, arguments));
    }
    Ok(())
}

#[netlab::test]
fn routes_over_a_link_without_carrier_read_as_in_ip_route() -> Result<()> {
    let ns = zoo("zoo")?;
    build(&ns, "link set v1 down");
    assert!(ns.routes()?.iter().any(|route| route.has_flag("linkdown")));
    for arguments in VIEWS {
        same(&ns, arguments, || view(&ns, arguments));
    }
    Ok(())
}

#[netlab::test]
fn fields_say_what_the_text_says() -> Result<()> {
    let ns = zoo("zoo")?;
    let routes = ns.routes()?;
    let find = |text: &str| routes.iter().find(|route| route.dst.to_string() == text).unwrap();
    let default = routes.iter().find(|route| route.is_default()).unwrap();
    assert_eq!((default.metric, default.protocol.as_str(), default.dev.as_deref()), (Some(7), "static", Some("v0")));
    assert_eq!(default.via.map(|ip| ip.to_string()).as_deref(), Some("10.0.0.9"));
    assert_eq!((find("10.5.0.0/16").kind, find("10.4.0.0/16").scope.as_str()), (RouteKind::Blackhole, "link"));
    assert_eq!(find("10.2.2.0/24").metrics.iter().map(ToString::to_string).collect::<Vec<_>>()[0], "mtu 1300");
    assert_eq!(find("10.11.0.0/16").nexthops.iter().map(|hop| hop.weight).collect::<Vec<_>>(), [2, 1, 1]);
    assert!(find("10.3.0.0/16").has_flag("onlink"));
    let all = ns.routes_of(RouteQuery::all_tables())?;
    assert!(all.iter().any(|route| route.table == 5000) && all.iter().any(|route| route.kind == RouteKind::Local));
    let back: Routes = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
    assert_eq!(back, all);
    Ok(())
}

#[netlab::test]
fn a_table_that_nobody_has_used_is_empty() -> Result<()> {
    let ns = Netns::new("zoo")?;
    assert_eq!(ns.routes_of(RouteQuery::table(77))?.len(), 0);
    let e = ns.routes_of(RouteQuery::table("nonsense")).unwrap_err();
    assert!(e.is_invalid_input() && e.to_string().contains("`nonsense`"), "{e}");
    assert!(e.location().unwrap().file().ends_with("routes.rs"));
    assert_eq!(ip(&ns, "route"), ns.routes()?.to_string());
    Ok(())
}
