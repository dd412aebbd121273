//! What the attribute does not accept, each with what it would have.
use netlab::test;

#[test(timout = "10s")]
fn unknown() {}

#[test(timeout = "10")]
fn no_unit() {}

#[test(timeout = "1.5s")]
fn no_whole_number() {}

#[test(timeout = "0s")]
fn no_time() {}

#[test(timeout = 10)]
fn no_text() {}

#[test(timeout)]
fn no_value() {}

#[test(timeout = "1s", timeout = "2s")]
fn twice() {}

#[test(needs(tun, wireguard2, nat))]
fn unknown_feature() {}

#[test(needs("tun"))]
fn no_word() {}

#[test(needs = "tun")]
fn no_list() {}

#[test(host host)]
fn no_comma() {}

#[test("10s")]
fn no_name() {}

#[test(one(1, 2), two = 3, timeout = "4")]
fn all_that_is_wrong() {}

fn main() {}
