//! What cannot be a test.

#[netlab::test]
fn generic<T: Default>() {
    drop(T::default());
}

#[netlab::test]
fn lifetime<'a>() {}

#[netlab::test]
fn arguments(_name: &str, _port: u16) {}

#[netlab::test]
unsafe fn dangerous() {}

#[netlab::test]
extern "C" fn foreign() {}

#[netlab::test]
#[test]
fn twice() {}

#[netlab::test]
struct NoFunction;

#[netlab::test]
mod no_function {}

fn main() {}
