//! The load balancer of the kernel itself, which kube-proxy can be told to use.

use netlab::IcmpKind;

use super::kubernetes::{POD_3, VIP, WEB_1, WEB_2, node_and_pods};
use crate::error::Error;
use crate::stage::Stage;

pub(super) const SYSTEMS: &[Stage] = &[Stage {
    id: "systems.ipvs",
    title: "a service without chains: IPVS",
    afresh: true,
    kernel: &["bridge", "ipvs"],
    claim: "With kube-proxy in IPVS mode a service is an entry in a table of the kernel, and its pods are entries of that, however many \
            services there are. The node has the service's address, on an interface that leads nowhere.",
    truth: "Not played yet: where it was written, no kernel had IPVS, and netlab has no fixture for it. The scene is built, the kernel is asked, and \
            what it says is told.",
    commands: &[
        "ip link add kube-ipvs0 type dummy; ip address add 10.96.0.10/32 dev kube-ipvs0",
        "ipvsadm --add-service --tcp-service 10.96.0.10:80 --scheduler rr",
        "ipvsadm --add-server --tcp-service 10.96.0.10:80 --real-server 10.244.1.2:80 --masquerading",
        "ipvsadm --add-server --tcp-service 10.96.0.10:80 --real-server 10.244.1.3:80 --masquerading",
    ],
    scene: node_and_pods,
    before: |w, s| s.not_served(&w.machine(POD_3)?, VIP, IcmpKind::NetUnreachable),
    change: |_| {
        netlab::needs("ipvs")?;
        Err(Error::NoFixture("IPVS"))
    },
    check: |w, s| {
        let pod = w.machine(POD_3)?;
        s.served(&pod, VIP, WEB_1)?;
        s.served(&pod, VIP, WEB_2)
    },
    ..Stage::STILL
}];
