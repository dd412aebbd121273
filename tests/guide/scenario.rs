// ANCHOR: lab
use netlab::{Bridge, NatRule, Netns, Reason, Responder, Result, VethPair};

/// Two offices behind their routers, and the internet between these.
///
/// ```text
/// ada ── north ── internet ── south ── bob
/// 10.1.0.2       198.51.100.0/24      10.2.0.2
/// ```
struct Offices {
    ada: Netns,
    bob: Netns,
    north: Netns,
    south: Netns,
    _internet: Bridge,
    _cables: [VethPair; 4],
}

impl Offices {
    fn new() -> Result<Self> {
        let (ada, bob) = (Netns::new("ada")?, Netns::new("bob")?);
        let (north, south) = (Netns::new("north")?, Netns::new("south")?);
        let internet = Bridge::new(Netns::new("internet")?.iface("br0"))?;
        let office = |host: &Netns, router: &Netns, net: u8| {
            VethPair::connect(
                host.iface("eth0")
                    .addr(format!("10.{net}.0.2/24"))
                    .gateway(format!("10.{net}.0.1")),
                router.iface("lan0").addr(format!("10.{net}.0.1/24")),
            )
        };
        let cables = [
            office(&ada, &north, 1)?,
            office(&bob, &south, 2)?,
            internet.plug(north.iface("wan0").addr("198.51.100.1/24"))?,
            internet.plug(south.iface("wan0").addr("198.51.100.2/24"))?,
        ];
        north.forward_ipv4()?;
        south.forward_ipv4()?;
        Ok(Self { ada, bob, north, south, _internet: internet, _cables: cables })
    }

    /// Bob's web server, as the internet reaches it.
    fn publish(&self) -> Result<(Responder, NatRule)> {
        let web = self.bob.http_server("10.2.0.2:80")?;
        let rule = NatRule::dnat(&self.south).addressed_to("198.51.100.2").tcp(80);
        Ok((web, rule.to("10.2.0.2:80").install()?))
    }
}
// ANCHOR_END: lab

// ANCHOR: story
#[netlab::test]
fn bob_sees_ada_as_her_router() -> Result<()> {
    let lab = Offices::new()?;
    let (web, published) = lab.publish()?;
    let public = || web.via("198.51.100.2");

    // Her router can, she cannot: only the way back to her is missing.
    lab.north.probe(public())?;
    lab.ada.expect_unreachable(public())?;

    let _masquerade = NatRule::masquerade(&lab.north).out("wan0").install()?;
    lab.ada.probe(public())?.expect_source("198.51.100.1")?;

    // Without its rule the other router is asked itself, and nobody has the port there.
    published.close()?;
    lab.ada.expect_unreachable(public())?.by(Reason::Refused)?;
    Ok(())
}
// ANCHOR_END: story
