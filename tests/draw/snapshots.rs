//! The drawings of fixed labs, as they are.

use netlab::Result;
use netlab::draw::Topology;

use crate::labs;

fn twice(topology: &Topology) -> Result<()> {
    // The same state gives the same text.
    let again = Topology::current()?;
    assert_eq!((topology.svg(), topology.mermaid()), (again.svg(), again.mermaid()));
    Ok(())
}

/// The picture without its colours.
fn drawn(topology: &Topology) -> String {
    topology.svg().split("</style>").last().unwrap_or_default().to_owned()
}

#[netlab::test]
fn a_client_and_a_server() -> Result<()> {
    let (_kept, topology) = labs::two()?;
    insta::assert_snapshot!("two.mmd", topology.mermaid());
    insta::assert_snapshot!("two.svg", drawn(&topology));
    insta::assert_snapshot!("two.dot", topology.dot());
    twice(&topology)
}

#[netlab::test]
fn two_lans_behind_a_router_that_translates() -> Result<()> {
    let (_kept, topology) = labs::office()?;
    insta::assert_snapshot!("office.mmd", topology.mermaid());
    insta::assert_snapshot!("office.svg", drawn(&topology));
    twice(&topology)
}

#[netlab::test]
fn a_container_host() -> Result<()> {
    let (_kept, topology) = labs::containers()?;
    insta::assert_snapshot!("containers.mmd", topology.mermaid());
    twice(&topology)
}

#[netlab::test(needs(vxlan, macvlan))]
fn overlays_and_links_upon_links_and_what_is_down() -> Result<()> {
    let (_kept, topology) = labs::zoo()?;
    insta::assert_snapshot!("zoo.mmd", topology.mermaid());
    insta::assert_snapshot!("zoo.dot", topology.dot());
    Ok(())
}

#[netlab::test(needs(vxlan, macvlan))]
fn the_model_is_data_that_can_be_stored() -> Result<()> {
    let (_kept, topology) = labs::zoo()?;
    let stored = serde_json::to_string(&topology).expect("JSON");
    assert_eq!(serde_json::from_str::<Topology>(&stored).expect("a topology"), topology);
    Ok(())
}
