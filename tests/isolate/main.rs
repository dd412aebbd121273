//! What holds inside an isolated test, and what its harness makes of its end.
//!
//! The tests that fail, hang and die are in `victims`; this binary runs itself with them as a child and compares the output as text.

mod child;
mod composed;
mod ends;
mod libtest;
mod nextest;
mod nothing_left;
mod output;
mod users;
mod victims;

#[netlab::test]
fn the_body_is_root_in_a_machine_of_its_own() {
    assert_eq!(std::fs::read_to_string("/proc/self/uid_map").unwrap().split_whitespace().next(), Some("0"));
    let links: Vec<_> = std::fs::read_dir("/sys/class/net").unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(links, ["lo"]);
}
