//! A fixture that nobody holds is gone at once: the compiler says which binding to write.
#![deny(unused_must_use, let_underscore_drop)]

use netlab::{Bridge, Neigh, Netns, Result, Route, Rule, VethPair};

fn dropped(a: &Netns, b: &Netns) -> Result<()> {
    VethPair::connect(a.iface("eth0"), b.iface("eth0"))?;
    Bridge::new(a.iface("br0"))?;
    Route::to("10.0.0.0/8").via("10.0.0.1").install(a)?;
    a.udp_echo("127.0.0.1:7")?;
    a.set_sysctl("net.ipv4.ip_forward", "1")?;
    a.process("sleep").start()?;
    Ok(())
}

fn not_finished(a: &Netns) {
    a.iface("eth0").addr("10.0.0.1/24");
    Route::to("10.0.0.0/8").via("10.0.0.1");
    Rule::lookup(100);
    Neigh::permanent("10.0.0.1", "02:00:00:00:00:01");
    a.process("sleep");
}

fn underscore(a: &Netns, b: &Netns) -> Result<()> {
    let _ = VethPair::connect(a.iface("eth0"), b.iface("eth0"))?;
    let _ = Bridge::new(a.iface("br0"))?;
    let _ = Route::to("10.0.0.0/8").via("10.0.0.1").install(a)?;
    let _ = a.udp_echo("127.0.0.1:7")?;
    Ok(())
}

fn main() {}
