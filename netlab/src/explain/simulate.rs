//! The way that the routes of the machines lead, without a packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::case::Case;
use super::causes::{answers_for, next_hop};
use super::tuple::Tuple;
use super::walk::{End, Ended};
use crate::snapshot::Route;

const FARTHEST: usize = 16;

impl Case {
    /// The machines that the routes lead over, each with the device by which the packet leaves it.
    pub(super) fn simulate(&self, from: &End) -> Vec<(usize, String)> {
        let (mut hops, mut end) = (Vec::new(), from.clone());
        while let Some((device, next)) = self.way_on(&end).filter(|_| hops.len() < FARTHEST) {
            hops.push((end.machine, device.clone()));
            let Some(there) = self.step(&end, &device, next).filter(|there| !self.is_here(there)) else { break };
            end = there;
        }
        hops
    }

    /// By which device the machine would send it on. What was not sent was not translated either: its source may be one that nobody knows.
    fn way_on(&self, end: &End) -> Option<(String, IpAddr)> {
        let any: IpAddr = if end.tuple.destination.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let without_source = || End { by: None, tuple: Tuple { source: any, ..end.tuple }, ..end.clone() };
        next_hop(self, end).or_else(|| next_hop(self, &without_source()))
    }

    /// Whether the packet would come to the one who is asked if it took this route first.
    pub(super) fn leads(&self, from: &End, route: &Route) -> bool {
        let Some(device) = &route.dev else { return false };
        let mut end = self.step(from, device, route.via.unwrap_or(from.tuple.destination));
        for _ in 0..FARTHEST {
            let Some(there) = end.take() else { return false };
            if self.is_here(&there) {
                return true;
            }
            end = next_hop(self, &there).and_then(|(device, next)| self.step(&there, &device, next));
        }
        false
    }

    /// The next machine, if somebody has the address on that link.
    fn step(&self, end: &End, device: &str, next: IpAddr) -> Option<End> {
        let here = self.lab.named(end.machine, device)?;
        let reached = self.lab.reached(here);
        let holder = self.lab.holders(next).into_iter().find(|holder| reached.contains(holder));
        let holder = holder.or_else(|| reached.into_iter().find(|place| answers_for(self, *place, next)))?;
        let tuple = self.translated(end.machine, end.tuple);
        Some(End { machine: holder.machine, by: Some(holder), arrived: None, before: None, tuple, way: end.way, place: Ended::Inside })
    }
}
