//! Tests that end in every way that a test can, for `isolate` to run as children; each is ignored, so that nobody else does.

#[netlab::test]
#[ignore = "run by isolate"]
fn panics() {
    println!("one");
    eprintln!("two");
    println!("three");
    panic!("the {} message", "panic's");
}

#[netlab::test]
#[ignore = "run by isolate"]
fn passes() {}

#[netlab::test]
#[ignore = "run by isolate"]
fn exits() {
    std::process::exit(3);
}
