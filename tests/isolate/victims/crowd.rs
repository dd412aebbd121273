//! Fifty tests, each with a network, a mount and daemons in its machine, that run until they are ended from outside.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use netlab::{Netns, VethPair};

fn stays(name: &str) {
    let host = Netns::new("host").unwrap();
    let _cable =
        VethPair::connect(host.iface("eth0").addr("10.0.0.1/24"), Netns::current().unwrap().iface("eth0").addr("10.0.0.2/24")).unwrap();
    let script = "mount -t tmpfs none /mnt && setsid -f sleep 1000; nohup sleep 1000 >/dev/null 2>&1 &";
    assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
    let folder = std::env::var_os("VICTIMS_FOLDER").unwrap();
    fs::write(Path::new(&folder).join(name), "").unwrap();
    loop {
        thread::park();
    }
}

macro_rules! crowd {
    ($($module:ident)*) => {
        $(mod $module {
            crowd! { of $module: n0 n1 n2 n3 n4 n5 n6 n7 n8 n9 }
        })*
    };
    (of $module:ident: $($name:ident)*) => {
        $(
            #[netlab::test]
            #[ignore = "run as a child"]
            fn $name() {
                super::stays(concat!(stringify!($module), stringify!($name)));
            }
        )*
    };
}

crowd! { a b c d e }
