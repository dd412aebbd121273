// ANCHOR: routes
use netlab::{NatRule, Netns, Result, VethPair};

#[netlab::test]
fn the_route_table_is_the_one_we_know() -> Result<()> {
    let (host, router) = (Netns::new("host")?, Netns::new("router")?);
    let _cable = VethPair::connect(
        host.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"),
        router.iface("lan0").addr("10.0.0.1/24"),
    )?;

    insta::assert_snapshot!(host.routes()?, @"
    default via 10.0.0.1 dev eth0 
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.2 
    ");
    Ok(())
}
// ANCHOR_END: routes

// ANCHOR: ruleset
#[netlab::test]
fn the_rules_are_those_of_nft() -> Result<()> {
    let router = Netns::new("router")?;
    let _nat = NatRule::masquerade(&router).from("10.0.0.0/24").out("wan0").install()?;

    insta::assert_snapshot!(router.ruleset()?, @r#"
    table ip nat {
    	chain POSTROUTING {
    		type nat hook postrouting priority srcnat; policy accept;
    		ip saddr 10.0.0.0/24 oifname "wan0" counter packets 0 bytes 0 masquerade
    	}
    }
    "#);
    Ok(())
}
// ANCHOR_END: ruleset

// ANCHOR: typed
#[netlab::test]
fn a_listing_is_data_too() -> Result<()> {
    let host = Netns::new("host")?;
    let addresses = host.addresses()?;
    let nets: Vec<String> = addresses.of("lo").map(|address| address.net.to_string()).collect();
    assert_eq!(nets, ["127.0.0.1/8", "::1/128"]);
    Ok(())
}
// ANCHOR_END: typed
