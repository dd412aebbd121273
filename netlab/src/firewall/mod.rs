//! Rules of NAT and of firewalls as fixtures.

mod plan;
