//! Rules of NAT and of firewalls as fixtures.

mod lower;
mod plan;
