//! A program that runs functions in machines, one case an argument; see `main.rs`.

use std::time::Duration;

use netlab::{Machine, Netns};

fn main() {
    let case = std::env::args().nth(1).unwrap_or_default();
    let outcome = run(&case);
    match outcome {
        Ok(bytes) => println!("{}", String::from_utf8_lossy(&bytes)),
        Err(e) => println!("timeout={} unexpected={} errno={:?}\n{e}", e.is_timeout(), e.is_unexpected(), e.errno()),
    }
}

fn run(case: &str) -> netlab::Result<Vec<u8>> {
    let machine = Machine::new("lab").timeout(Duration::from_secs(20));
    match case {
        "value" => {
            let outside = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
            machine.run(move || {
                let inside = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
                let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
                let lab = Netns::new("far")?;
                Ok(format!("{} {} {}", hostname.trim(), inside != outside, lab.name()).into_bytes())
            })
        }
        "twice" => {
            print!("printed once ");
            let first = machine.run(|| Ok(vec![b'a'; 1 << 20]))?;
            let second = machine.run(|| Ok(b"b".to_vec()))?;
            Ok(format!("{} {}", first.len(), second.len()).into_bytes())
        }
        "error" => machine.run(|| Netns::current()?.link("nothing0").map(|_| Vec::new())),
        "panic" => machine.run(|| panic!("no way")),
        "exit" => machine.run(|| std::process::exit(0)),
        "abort" => machine.run(|| std::process::abort()),
        "hang" => Machine::new("lab").timeout(Duration::from_millis(200)).run(|| {
            loop {
                std::thread::park();
            }
        }),
        "daemon" => machine.run(|| {
            let child = Netns::current()?.command("sleep")?.arg("1000").spawn();
            drop(child); // nobody waits for it: the end of the machine is its end
            Ok(b"left".to_vec())
        }),
        "threads" => {
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::spawn(move || receiver.recv());
            let refused = machine.run(|| Ok(Vec::new()));
            drop(sender);
            drop(thread.join());
            refused
        }
        other => Ok(format!("no case {other}").into_bytes()),
    }
}
