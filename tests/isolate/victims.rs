//! Tests that end in every way that a test can, to be run as children; each is ignored, so that nobody else runs them.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::signal::{Signal, raise};

mod composed;
mod crowd;

#[netlab::test]
#[ignore = "run as a child"]
fn passes() {}

mod twin {
    #[netlab::test]
    #[ignore = "run as a child"]
    fn passes() {
        println!("the twin's body");
    }
}

#[netlab::test]
#[ignore = "run as a child"]
fn panics() {
    println!("one");
    eprintln!("two");
    println!("three");
    panic!("the {} message", "panic's");
}

#[netlab::test]
#[ignore = "run as a child"]
fn panics_without_text() {
    std::panic::panic_any(7);
}

#[netlab::test]
#[ignore = "run as a child"]
fn panics_in_a_thread() {
    let thread = thread::Builder::new().name("second".to_owned()).spawn(|| panic!("in the thread")).unwrap();
    assert!(thread.join().is_err());
    println!("joined");
}

#[netlab::test]
#[ignore = "run as a child"]
#[should_panic(expected = "wanted")]
fn panics_as_expected() {
    panic!("what was wanted");
}

#[netlab::test]
#[ignore = "run as a child"]
#[should_panic]
fn panics_as_any() {
    panic!("whatever");
}

#[netlab::test]
#[ignore = "run as a child"]
#[should_panic(expected = "wanted")]
fn panics_otherwise() {
    panic!("something else");
}

#[netlab::test]
#[ignore = "run as a child"]
#[should_panic(expected = "wanted")]
fn should_panic_and_does_not() {}

#[netlab::test]
#[ignore = "run as a child"]
#[should_panic]
fn should_panic_and_exits() {
    std::process::exit(3);
}

#[netlab::test]
#[ignore = "run as a child"]
fn returns_ok() -> Result<(), Box<dyn Error>> {
    Ok(())
}

#[netlab::test]
#[ignore = "run as a child"]
fn returns_an_error() -> Result<(), Box<dyn Error>> {
    println!("before");
    Err("the error's text")?;
    Ok(())
}

#[netlab::test]
#[ignore = "run as a child"]
fn returns_an_exit_code() -> std::process::ExitCode {
    7.into()
}

#[netlab::test]
#[ignore = "run as a child"]
async fn is_async() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:80").await?;
    let client = tokio::spawn(tokio::net::TcpStream::connect("127.0.0.1:80"));
    listener.accept().await?;
    client.await??;
    println!("port 80, and the timer: {:?}", tokio::time::timeout(std::time::Duration::ZERO, std::future::pending::<()>()).await);
    Ok(())
}

#[netlab::test]
#[ignore = "run as a child"]
async fn is_async_and_panics() {
    tokio::task::yield_now().await;
    panic!("after an await");
}

#[netlab::test]
#[ignore = "run as a child"]
fn exits() {
    println!("before");
    std::process::exit(3);
}

#[netlab::test]
#[ignore = "run as a child"]
fn exits_with_zero() {
    std::process::exit(0);
}

#[netlab::test]
#[ignore = "run as a child"]
fn aborts() {
    println!("before");
    std::process::abort();
}

#[netlab::test]
#[ignore = "run as a child"]
fn segfaults() {
    // The first only makes the standard library's handler step aside.
    while raise(Signal::SIGSEGV).is_ok() {}
}

#[netlab::test]
#[ignore = "run as a child"]
fn overflows_its_stack() {
    fn deeper(n: usize) -> usize {
        let frame = black_box([n; 512]);
        if n == usize::MAX { 0 } else { deeper(n + 1) + frame[n % 512] }
    }
    println!("{}", deeper(black_box(0)));
}

#[netlab::test]
#[ignore = "run as a child"]
fn is_killed() {
    let status = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
    unreachable!("{status:?}");
}

#[netlab::test(timeout = "300ms")]
#[ignore = "run as a child"]
fn hangs() {
    println!("before");
    let _daemon = daemon();
    loop {
        thread::park();
    }
}

#[netlab::test]
#[ignore = "run as a child"]
fn leaves_processes_behind() {
    let _daemon = daemon();
    // A child that is not waited for, and one that ignores what can be ignored.
    let child =
        Command::new("sh").args(["-c", "trap '' TERM INT HUP; echo armed; while :; do sleep 1000; done"]).stdout(Stdio::piped()).spawn();
    let mut armed = [0; 6];
    child.unwrap().stdout.unwrap().read_exact(&mut armed).unwrap();
    println!("{}", String::from_utf8_lossy(&armed).trim());
}

/// A process of no parent and no terminal, that holds on to the test's output.
fn daemon() -> std::process::ExitStatus {
    Command::new("sh").args(["-c", "setsid -f sleep 1000"]).status().unwrap()
}

#[netlab::test]
#[ignore = "run as a child"]
fn children_print() {
    println!("the body");
    for script in ["echo 'a child'", "sh -c 'echo \"a grandchild\"'", "echo \"a child's error\" >&2"] {
        assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
    }
    println!("the body again");
}

#[netlab::test]
#[ignore = "run as a child"]
fn prints_pieces_and_much() {
    let mut stdout = io::stdout();
    for piece in "größer als 10 €\n".as_bytes().chunks(1) {
        stdout.write_all(piece).unwrap();
        stdout.flush().unwrap();
    }
    stdout.write_all(b"not text: \xff\n").unwrap();
    for n in 0..20_000 {
        println!("line {n}");
    }
}

#[netlab::test]
#[ignore = "run as a child"]
fn shows_what_it_inherits() {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).unwrap();
    println!("stdin: {text:?} from {}", fs::read_link("/proc/self/fd/0").unwrap().display());
    println!("cwd: {}", std::env::current_dir().unwrap().display());
    println!("env: {:?}", std::env::var("VICTIMS_SAY"));
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().contains("NETLAB")).count();
    println!("variables of netlab: {ours}");
    println!("descriptors of a program: {}", fds_of_a_program());
}

/// What a program started here inherits beside its own three.
fn fds_of_a_program() -> String {
    let output = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[netlab::test]
#[ignore = "run as a child"]
fn shows_its_thread() {
    println!("thread {:?} of a process with {} threads", thread::current().name(), fs::read_dir("/proc/self/task").unwrap().count());
}

mod one_of_three_fails {
    #[netlab::test]
    #[ignore = "run as a child"]
    fn first() {}

    #[netlab::test]
    #[ignore = "run as a child"]
    fn second() {
        panic!("only the second");
    }

    #[netlab::test]
    #[ignore = "run as a child"]
    fn third() {}
}
