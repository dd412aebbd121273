//! Tests of network programs with netlab, to copy from. Each file in `tests/` stands alone; the program that it tests is in it or is named.
//!
//! | file | what is tested | what shows how |
//! |---|---|---|
//! | `tests/tcp_proxy.rs` | a TCP proxy, `src/bin/tcp-proxy.rs` | a program of one's own between two networks |
//! | `tests/dns_client.rs` | a client that asks for a name | a private `resolv.conf`, a name server of one's own, a firewall |
//! | `tests/hole_punch.rs` | UDP hole punching | NATs that behave as one says, a table of cases by rstest |
//! | `tests/ipv6_router.rs` | a sender of router advertisements | addresses that hosts make themselves, forwarding |
//! | `tests/vpn_over_tun.rs` | a user-space VPN | a link whose far end is a program, packets on the wire |
//! | `tests/link_down.rs` | a download | a link that goes down under a connection, rules that drop and reject |
