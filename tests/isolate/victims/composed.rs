//! The attributes of other crates beside ours.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use netlab::Netns;
use rstest::{fixture, rstest};
use serial_test::{parallel, serial};

#[fixture]
fn router() -> Netns {
    Netns::new("router").unwrap()
}

#[rstest]
#[case("10.0.0.1", 24)]
#[case::host_route("10.0.0.2", 32)]
#[netlab::test]
#[ignore = "run as a child"]
fn cases_below(router: Netns, #[case] address: &str, #[case] length: u8) {
    println!("{address}/{length} on {}, first process {}", router.name(), parent());
}

#[netlab::test]
#[rstest]
#[case(1)]
#[case(2)]
#[ignore = "run as a child"]
fn cases_above(#[case] n: u32) -> Result<(), Box<dyn Error>> {
    println!("first process {}", parent());
    if n == 2 {
        Err("the second case")?
    }
    Ok(())
}

#[rstest]
#[netlab::test]
#[ignore = "run as a child"]
fn values(#[values("udp", "tcp")] protocol: &str, #[values(4, 6)] version: u8) {
    println!("{protocol}{version}, first process {}", parent());
}

#[rstest]
#[case(0)]
#[netlab::test(timeout = "200ms")]
#[ignore = "run as a child"]
fn case_with_timeout(#[case] _n: u32) {
    loop {
        thread::park();
    }
}

#[rstest]
#[case::wanted("wanted")]
#[case::other("other")]
#[netlab::test]
#[ignore = "run as a child"]
#[should_panic(expected = "wanted")]
fn cases_that_panic(#[case] text: &str) {
    panic!("{text}");
}

#[rstest]
#[case(80)]
#[netlab::test]
#[ignore = "run as a child"]
async fn async_case(#[case] port: u16) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    println!("listens on {}, first process {}", listener.local_addr().unwrap(), parent());
}

/// 1 in a machine, whose first process is the body's parent.
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// Says to the others that it is there, and whether one of them is there too until the deadline.
fn meets_another(deadline: Duration) -> bool {
    let folder = PathBuf::from(std::env::var_os("VICTIMS_FOLDER").unwrap());
    let name = thread::current().name().unwrap().rsplit("::").next().unwrap().to_owned();
    fs::write(folder.join(&name), "").unwrap();
    let until = Instant::now() + deadline;
    let mut met = false;
    while !met && Instant::now() < until {
        met = fs::read_dir(&folder).unwrap().count() > 1;
        thread::yield_now();
    }
    leave(&folder.join(name), met);
    met
}

/// Those who met stay until all have seen each other.
fn leave(mine: &Path, met: bool) {
    if !met {
        fs::remove_file(mine).unwrap();
    }
}

macro_rules! meeting {
    ($module:ident: $attribute:meta, $deadline:literal) => {
        mod $module {
            use super::*;

            #[netlab::test]
            #[$attribute]
            #[ignore = "run as a child"]
            fn left() {
                println!("met: {}", meets_another(Duration::from_millis($deadline)));
            }

            #[netlab::test]
            #[$attribute]
            #[ignore = "run as a child"]
            fn right() {
                println!("met: {}", meets_another(Duration::from_millis($deadline)));
            }
        }
    };
}

// The negative waits as long as it must be able to see; the positive beside it ends as soon as they meet.
meeting! { serial_tests: serial(meeting), 300 }
meeting! { parallel_tests: parallel(meeting), 20_000 }
meeting! { plain_tests: allow(dead_code), 20_000 }
