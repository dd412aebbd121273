//! The same work by each, as its own documentation does it. What a process needs once, such as a user namespace or a runtime, is made before.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::turns::Result;

/// Of a datagram. The kernel asks for a neighbour's address again after a second.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(name: &str) -> Result<Duration> {
    match name {
        "netlab" => netlab(),
        "netlab-cable" => netlab_cable(),
        "ip" => ip(),
        "nlink" => nlink(),
        "gateflow" => gateflow(),
        "netsim-embed" => netsim_embed(),
        "patchbay" => patchbay(),
        _ => Err(format!("no variant `{name}`").into()),
    }
}

fn exchange(to: &UdpSocket, from: &UdpSocket) -> std::io::Result<()> {
    to.set_read_timeout(Some(PATIENCE))?;
    from.send_to(b"x", to.local_addr()?)?;
    to.recv(&mut [0]).map(drop)
}

/// What `f` makes on a thread that has entered a namespace.
fn inside<T: Send>(enter: impl FnOnce() -> std::io::Result<()> + Send, f: impl FnOnce() -> std::io::Result<T> + Send) -> Result<T> {
    let made = std::thread::scope(|scope| scope.spawn(|| enter().and_then(|()| f())).join());
    Ok(made.map_err(|_| "the thread panicked")??)
}

fn netlab() -> Result<Duration> {
    use netlab::{Bridge, Netns};
    let start = Instant::now();
    {
        let (switch, left, right) = (Netns::new("switch")?, Netns::new("left")?, Netns::new("right")?);
        let bridge = Bridge::new(switch.iface("br0"))?;
        let _left_cable = bridge.plug(left.iface("eth0").addr("10.0.0.1/16"))?;
        let _right_cable = bridge.plug(right.iface("eth0").addr("10.0.0.2/16"))?;
        let to = right.run(|| UdpSocket::bind("10.0.0.2:9"))??;
        let from = left.run(|| UdpSocket::bind("10.0.0.1:0"))??;
        exchange(&to, &from)?;
    }
    Ok(start.elapsed())
}

/// What gateflow does.
fn netlab_cable() -> Result<Duration> {
    use netlab::{Netns, VethPair};
    let start = Instant::now();
    {
        let (left, right) = (Netns::new("left")?, Netns::new("right")?);
        let _cable = VethPair::connect(left.iface("eth0").addr("10.0.0.1/24"), right.iface("eth0").addr("10.0.0.2/24"))?;
        let to = right.run(|| UdpSocket::bind("10.0.0.2:9"))??;
        let from = left.run(|| UdpSocket::bind("10.0.0.1:0"))??;
        exchange(&to, &from)?;
    }
    Ok(start.elapsed())
}

fn ip() -> Result<Duration> {
    let batch = |options: &[&str], text: &str| -> Result<()> {
        let mut child = Command::new("ip").args(options).args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
        child.stdin.take().ok_or("no stdin")?.write_all(text.as_bytes())?;
        if child.wait()?.success() { Ok(()) } else { Err("ip -batch failed".into()) }
    };
    let start = Instant::now();
    let cable = |n| format!("netns add h{n}\nlink add eth0 netns h{n} type veth peer name h{n} netns switch\n");
    batch(&[], &format!("netns add switch\n{}{}", cable(1), cable(2)))?;
    let ports = "link set h1 master br0 up\nlink set h2 master br0 up\n";
    batch(&["-n", "switch"], &format!("link add br0 type bridge stp_state 0 forward_delay 0\nlink set br0 up\n{ports}"))?;
    for n in [1, 2] {
        batch(&["-n", &format!("h{n}")], &format!("link set lo up\nlink set eth0 up\naddress add 10.0.0.{n}/16 dev eth0\n"))?;
    }
    batch(&[], "netns del h1\nnetns del h2\nnetns del switch\n")?;
    Ok(start.elapsed())
}

fn nlink() -> Result<Duration> {
    use nlink::lab::LabNamespace;
    use nlink::netlink::addr::Ipv4Address;
    use nlink::netlink::link::{BridgeLink, VethLink};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let start = Instant::now();
    runtime.block_on(async {
        let switch = LabNamespace::new("switch")?;
        let ports = switch.connection()?;
        ports.add_link(BridgeLink::new("br0")).await?;
        ports.set_link_up("br0").await?;
        let mut sockets = Vec::new();
        let mut hosts = Vec::new();
        for number in [1, 2] {
            let host = LabNamespace::new("host")?;
            let (address, port) = (Ipv4Addr::new(10, 0, 0, number), format!("h{number}"));
            let link = host.connection()?;
            link.set_link_up("lo").await?;
            link.add_link(VethLink::new("eth0", &port).peer_netns_fd(switch.netns())).await?;
            ports.enslave(port.as_str(), "br0").await?;
            ports.set_link_up(port.as_str()).await?;
            link.add_address(Ipv4Address::new("eth0", address, 16)).await?;
            link.set_link_up("eth0").await?;
            let enter = || {
                let namespace = File::open(format!("/run/netns/{}", host.name()))?;
                Ok(nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?)
            };
            sockets.push(inside(enter, || UdpSocket::bind((address, 9)))?);
            hosts.push(host);
        }
        exchange(&sockets[1], &sockets[0])?;
        Ok::<_, Box<dyn Error>>(())
    })?;
    Ok(start.elapsed())
}

/// Both ends run at once in processes of their own: the first asks until the second, which may not be there yet, answers.
fn gateflow() -> Result<Duration> {
    let start = Instant::now();
    let good = |done: std::io::Result<()>| i32::from(done.is_err());
    let codes = gateflow::Sandbox::paired().enter(
        |end| {
            good((|| {
                let socket = UdpSocket::bind((end.address, 0))?;
                socket.connect((end.peer_address, 9))?;
                socket.set_read_timeout(Some(Duration::from_millis(1)))?;
                let asked = Instant::now();
                while socket.send(b"x").and_then(|_| socket.recv(&mut [0])).is_err() {
                    if asked.elapsed() > PATIENCE {
                        return Err(std::io::ErrorKind::TimedOut.into());
                    }
                }
                Ok(())
            })())
        },
        |end| {
            good((|| {
                let socket = UdpSocket::bind((end.address, 9))?;
                socket.set_read_timeout(Some(PATIENCE))?;
                let (_, from) = socket.recv_from(&mut [0])?;
                socket.send_to(b"x", from).map(drop)
            })())
        },
    )?;
    if codes == (0, 0) { Ok(start.elapsed()) } else { Err(format!("the two ends left with {codes:?}").into()) }
}

fn netsim_embed() -> Result<Duration> {
    use async_process::Command;
    use netsim_embed::{Ipv4Range, Netsim};
    netsim_embed::unshare_user()?;
    let start = Instant::now();
    async_std::task::block_on(async {
        let mut lab = Netsim::<String, String>::new();
        let switch = lab.spawn_network(Ipv4Range::random_local_subnet());
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let host = lab.spawn_machine(Command::new("cat"), None).await;
            lab.plug(host, switch, None).await;
            let (namespace, address) = (lab.machine(host).namespace(), lab.machine(host).addr());
            sockets.push(inside(|| namespace.enter(), || UdpSocket::bind((address, 9)))?);
        }
        exchange(&sockets[1], &sockets[0])?;
        Ok::<_, Box<dyn Error>>(())
    })?;
    Ok(start.elapsed())
}

fn patchbay() -> Result<Duration> {
    use patchbay::{Lab, RouterPreset};
    let runtime = tokio::runtime::Runtime::new()?;
    let start = Instant::now();
    runtime.block_on(async {
        let lab = Lab::builder().allow_real_root().build().await?;
        let switch = lab.add_router("switch").preset(RouterPreset::PublicV4).build().await?;
        let left = lab.add_device("left").iface("eth0", switch.id()).build().await?;
        let right = lab.add_device("right").iface("eth0", switch.id()).build().await?;
        let bind = |device: &patchbay::Device| -> anyhow::Result<UdpSocket> {
            let address = SocketAddr::from((device.ip().ok_or_else(|| anyhow::anyhow!("no address"))?, 9));
            device.run_sync(move || Ok(UdpSocket::bind(address)?))
        };
        exchange(&bind(&right)?, &bind(&left)?)?;
        anyhow::Ok(())
    })?;
    Ok(start.elapsed())
}
