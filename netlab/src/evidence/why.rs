//! Why the probe of a failure failed: what its error has said of it, or what is found when it is asked once more.

use crate::draw::{Topology, sequence};
use crate::error::Result;
use crate::explain;
use crate::netns::Netns;
use crate::probe::witness::Failed;

/// What came of it.
pub(super) struct Why {
    pub(super) explanation: String,
    pub(super) packets: Vec<u8>,
    pub(super) sequence: String,
    /// Where it failed and why, where the evidence suffices: `machine` or `machine/device`, and a sentence.
    place: Option<(String, String)>,
}

impl Why {
    pub(super) fn find(machines: &[Netns], failed: &Failed) -> Result<Option<Self>> {
        let Some(asker) = machines.iter().find(|netns| netns.name() == failed.netns) else { return Ok(None) };
        let explanation = match explain::said_of(&failed.netns, &failed.probe) {
            Some(said) => said,
            None => asker.explain(&failed.probe)?,
        };
        let place = explanation.finding().map(|finding| {
            let place = finding.place.as_ref().map(|place| format!("/{place}")).unwrap_or_default();
            (format!("{}{place}", finding.machine), finding.cause.to_string())
        });
        let packets = explanation.packets();
        let (packets, sequence) = (packets.to_pcapng(), sequence(packets));
        let explanation = format!("`{}` asked {} once more.\n\n{explanation}\n", failed.netns, failed.probe);
        Ok(Some(Self { explanation, packets, sequence, place }))
    }

    /// Points at the place.
    pub(super) fn mark(&self, topology: Topology) -> Topology {
        let Some((place, cause)) = &self.place else { return topology };
        let machine = place.split('/').next().unwrap_or_default();
        // A place within a machine may be a chain or an address, which is not in the picture.
        let drawn = topology
            .machine(machine)
            .is_some_and(|found| place.split_once('/').is_some_and(|(_, device)| found.interface(device).is_some()));
        topology.mark(if drawn { place } else { machine }, cause)
    }
}
