//! Whatever the lab, its picture is well-formed, and nothing in it lies on anything else.

use netlab::Result;
use netlab::draw::{Cable, CableKind, End, Interface, LinkState, Listener, Machine, Topology};
use proptest::prelude::*;

use crate::labs;
use crate::picture::{Picture, Rect};

#[netlab::test(needs(vxlan, macvlan))]
fn no_box_lies_on_another_and_no_wire_runs_through_one() -> Result<()> {
    for lab in [labs::two, labs::office, labs::containers, labs::cluster, || labs::star(40), || labs::spokes(39), labs::zoo] {
        let (_kept, topology) = lab()?;
        let picture = Picture::read(&topology.svg());
        assert_eq!(picture.faults(), [""; 0]);
        assert!(topology.machines.len() <= picture.boxes.len() + 1, "{} boxes", picture.boxes.len());
    }
    Ok(())
}

#[test]
fn what_is_wrong_with_a_picture_would_be_seen() {
    let rect = |x, y| Rect { x, y, width: 10.0, height: 10.0 };
    let mut picture = Picture { boxes: vec![rect(0.0, 0.0), rect(20.0, 0.0)], size: (40.0, 40.0), ..Picture::default() };
    picture.wires.push(((5.0, 10.0), (5.0, 30.0)));
    assert_eq!(picture.faults(), [""; 0]);
    picture.boxes[1].x = 5.0;
    assert_eq!(picture.faults().len(), 1);
    picture.boxes[1].x = 35.0;
    assert_eq!(picture.faults().len(), 1);
    picture.boxes[1].x = 20.0;
    picture.wires.push(((5.0, 5.0), (30.0, 5.0)));
    assert_eq!(picture.faults().len(), 2);
}

#[test]
fn names_that_mean_something_to_xml_do_no_harm() {
    let evil = "a<b>&\"'\u{1}]]>";
    let topology = Topology { machines: vec![Machine { name: evil.to_owned(), ..Machine::default() }], ..Topology::default() };
    let picture = Picture::read(&topology.mark(evil, evil).svg());
    assert!(picture.texts.iter().any(|text| text == "a<b>&\"' ]]>"), "{:?}", picture.texts);
}

#[test]
fn an_empty_lab_has_a_picture() {
    assert_eq!(Picture::read(&Topology::default().svg()).boxes, []);
}

/// Machines with up to two bridges each, and cables between whatever there is.
fn topology() -> impl Strategy<Value = Topology> {
    let machine = (0..3u8, proptest::bool::weighted(0.3), 0..3u8);
    let cable = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>());
    (proptest::collection::vec(machine, 1..24), proptest::collection::vec(cable, 0..40)).prop_map(|(machines, cables)| {
        let mut topology = Topology::default();
        for (number, (bridges, addressed, listeners)) in machines.iter().enumerate() {
            let bridge = |bridge| Interface {
                name: format!("br{bridge}"),
                kind: "bridge".to_owned(),
                addresses: addressed.then(|| "10.0.0.1/24".parse().expect("an address")).into_iter().collect(),
                ..Interface::default()
            };
            let listener = |port: u8| Listener { udp: false, address: ([10, 0, 0, 1], port.into()).into(), name: Some("web".to_owned()) };
            topology.machines.push(Machine {
                name: format!("m{number}"),
                interfaces: (0..*bridges).map(bridge).collect(),
                listeners: (0..*listeners).map(listener).collect(),
                ..Machine::default()
            });
        }
        for (number, (a, b, how)) in cables.iter().enumerate() {
            let ends = [(a, how & 3, "a"), (b, how >> 2 & 3, "b")].map(|(at, bridge, name)| {
                let machine = at.get_mut(&mut topology.machines);
                let master = machine.interfaces.get(usize::from(bridge)).filter(|i| i.kind == "bridge").map(|i| i.name.clone());
                let state = if how & 0x30 == 0 { LinkState::Down } else { LinkState::Up };
                let name = format!("{name}{number}");
                machine.interfaces.push(Interface { name: name.clone(), kind: "veth".to_owned(), master, state, ..Interface::default() });
                End { machine: machine.name.clone(), interface: name }
            });
            let [a, b] = ends;
            topology.cables.push(Cable { kind: CableKind::Veth, a, b });
        }
        topology
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lab_can_be_drawn(topology in topology()) {
        let svg = topology.svg();
        prop_assert_eq!(Picture::read(&svg).faults(), [""; 0]);
        prop_assert_eq!(svg, topology.svg());
        prop_assert!(topology.mermaid().starts_with("flowchart"));
        prop_assert!(topology.dot().starts_with("graph"));
    }
}
