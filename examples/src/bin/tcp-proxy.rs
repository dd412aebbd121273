//! A TCP proxy: `tcp-proxy LISTEN TARGET` passes on what is said, both ways, with a connection of its own for each client.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::{env, io, thread};

fn main() -> io::Result<()> {
    let [listen, target] = env::args().skip(1).collect::<Vec<_>>().try_into().expect("usage: tcp-proxy LISTEN TARGET");
    let listener = TcpListener::bind(listen)?;
    for client in listener.incoming() {
        let (client, target) = (client?, target.clone());
        thread::spawn(move || {
            // A target that cannot be had costs this client its connection, and nobody else.
            if let Err(why) = relay(&client, &target) {
                eprintln!("cannot reach {target}: {why}");
            }
        });
    }
    Ok(())
}

fn relay(client: &TcpStream, target: &str) -> io::Result<()> {
    let server = &TcpStream::connect(target)?;
    thread::scope(|scope| {
        scope.spawn(|| copy(client, server));
        copy(server, client);
    });
    Ok(())
}

/// One direction: the end of what is read becomes the end of what is written.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write)).unwrap_or_default();
}
