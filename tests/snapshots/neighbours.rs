//! `ip neigh`.

use netlab::snapshot::{NeighbourState, Neighbours};
use netlab::{Netns, Result};

use crate::oracle::{build, build_what_there_is, same};

const ZOO: &str = "
    link add v0 type veth peer name v1
    link set v0 up
    link set v1 up
    addr add 10.0.0.1/24 dev v0
    addr add fd00::1/64 nodad dev v0
    neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0
    neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev v0 nud stale
    neigh add 10.0.0.4 lladdr 02:00:00:00:00:03 dev v0 nud noarp
    neigh add 10.0.0.5 dev v0 nud failed
    neigh add 10.0.0.6 lladdr 02:00:00:00:00:03 dev v0 router
    neigh add 10.0.0.7 dev v1 nud none
    neigh add 10.0.0.8 lladdr 02:00:00:00:00:03 dev v1 nud reachable
    neigh add proxy 10.0.0.9 dev v0
    neigh add fd00::9 dev v0 nud permanent lladdr 02:00:00:00:00:09 router
    neigh add proxy fd00::8 dev v0 router
";

const MORE: &str = "
    neigh add 10.0.0.16 lladdr 02:00:00:00:00:03 dev v0 router extern_learn
    neigh add 10.0.0.17 lladdr 02:00:00:00:00:09 dev v0 nud permanent protocol static
    neigh add 10.0.0.18 lladdr 02:00:00:00:00:09 dev v0 managed extern_learn router protocol bgp
";

fn zoo(name: &str) -> Result<Netns> {
    let ns = Netns::new(name)?;
    build(&ns, ZOO);
    build_what_there_is(&ns, MORE);
    Ok(ns)
}

#[netlab::test]
fn neighbours_read_as_in_ip_neigh() -> Result<()> {
    let ns = zoo("zoo")?;
    same(&ns, "neigh", || ns.neighbours().unwrap().to_string());
    same(&ns, "neigh show proxy", || ns.neighbour_proxies().unwrap().to_string());
    Ok(())
}

#[netlab::test]
fn fields_say_what_the_text_says() -> Result<()> {
    let ns = zoo("zoo")?;
    let neighbours = ns.neighbours()?;
    let find = |text: &str| neighbours.iter().find(|neighbour| neighbour.dst.to_string() == text);
    let permanent = find("10.0.0.2").unwrap();
    assert_eq!((permanent.state, permanent.mac.as_deref()), (NeighbourState::Permanent, Some("02:00:00:00:00:02")));
    assert_eq!(find("10.0.0.5").unwrap().state, NeighbourState::Failed);
    assert_eq!(find("fd00::9").unwrap().flags, ["router"]);
    assert!(find("10.0.0.4").is_none() && find("10.0.0.7").is_none(), "`ip neigh` leaves out noarp and none");
    let back: Neighbours = serde_json::from_str(&serde_json::to_string(&neighbours).unwrap()).unwrap();
    assert_eq!(back, neighbours);
    Ok(())
}
