//! Translations.

use super::Chain;

pub(super) const NAT_POST: Chain = Chain {
    setting: "table ip nat { map to { type ipv4_addr : ipv4_addr; elements = { 10.0.0.1 : 1.1.1.1 } }
        chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; }
        chain INPUT { type nat hook input priority 100; policy accept; }
        chain OUTPUT { type nat hook output priority -100; policy accept; } 
        chain near { type nat hook postrouting priority srcnat + 10; policy accept; }
        chain far { type nat hook postrouting priority srcnat + 11; policy accept; }
        }",
    place: "ip nat POSTROUTING",
    rules: r#"
        masquerade
        oifname "wan0" masquerade
        ip saddr 172.18.0.0/24 oifname != "cont-br0" counter masquerade
        masquerade random
        masquerade fully-random
        masquerade persistent
        masquerade random,persistent
        ip protocol tcp masquerade to :1024-2000
        meta l4proto udp masquerade to :1024 random
        tcp dport 80 masquerade to :5000-6000 fully-random
        snat to 1.2.3.4
        snat to 1.2.3.4-1.2.3.9
        snat to 1.2.3.4 random
        snat to 1.2.3.4-1.2.3.9 persistent
        snat to 10.0.0.0/24
        tcp dport 80 snat to 1.2.3.4:1000
        tcp dport 80 snat to 1.2.3.4:1000-2000
        meta l4proto tcp snat to 1.2.3.4-1.2.3.5:1000-2000 fully-random
        snat to ip saddr map { 10.0.0.1 : 1.1.1.1, 10.0.0.2 : 1.1.1.2 }
        snat to ip saddr map @to
        snat to numgen inc mod 2 map { 0 : 1.1.1.1, 1 : 1.1.1.2 }
        snat to numgen random mod 2 map { 0 : 1.1.1.1, 1 : 1.1.1.2 }
        snat ip prefix to ip saddr map { 10.0.0.0/24 : 192.168.0.0/24 }
        ip saddr 10.0.0.0/24 snat prefix to 192.168.0.0/24
        meta mark & 0x4000 == 0x4000 counter masquerade fully-random
        ct status dnat masquerade
    "#,
};

pub(super) const NAT_PRE: Chain = Chain {
    setting: "table ip nat { chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; }
        chain svc { }
        chain early { type nat hook prerouting priority dstnat - 10; policy accept; }
        chain OUTPUT { type nat hook output priority -100; policy accept; }
        }",
    place: "ip nat PREROUTING",
    rules: r#"
        dnat to 10.0.0.2
        tcp dport 8081 dnat to 172.18.0.2:8000
        tcp dport 8081 counter dnat to 172.18.0.2:8000-8010
        meta l4proto tcp dnat to 10.0.0.2-10.0.0.4:80
        dnat to 10.0.0.2 persistent
        tcp dport 80 dnat to :8080
        dnat to numgen inc mod 2 map { 0 : 10.0.0.2, 1 : 10.0.0.3 }
        tcp dport 80 dnat to numgen inc mod 2 map { 0 : 10.0.0.2 . 80, 1 : 10.0.0.3 . 8080 }
        dnat to tcp dport map { 80 : 10.0.0.2, 443 : 10.0.0.3 }
        tcp dport 80 dnat to ip saddr map { 10.0.0.1 : 10.0.0.2, 10.0.0.5 : 10.0.0.3 } : 80
        redirect
        tcp dport 80 redirect to :8080
        tcp dport 80 redirect to :8080-8090
        tcp dport 80 redirect to :8080 random
        redirect fully-random
        fib daddr type local tcp dport 80 dnat to 10.0.0.2:80
        numgen random mod 2 < 1 jump svc
        numgen inc mod 2 vmap { 0 : jump svc, 1 : return }
        ip daddr 10.96.0.1 tcp dport 80 goto svc
        udp dport 53 dnat to 10.0.0.2:53
        dnat to jhash ip saddr mod 2 map { 0 : 10.0.0.2, 1 : 10.0.0.3 }
    "#,
};

pub(super) const INET_NAT_PRE: Chain = Chain {
    setting: "table inet nat { chain c { type nat hook prerouting priority dstnat; policy accept; }
        }",
    place: "inet nat c",
    rules: r#"
        dnat ip to 10.0.0.2
        dnat ip6 to fe80::1
        tcp dport 80 dnat ip to 10.0.0.2:8080
        tcp dport 80 dnat ip6 to [fe80::1]:8080
        tcp dport 80 dnat to :8080
        ip saddr 10.0.0.1 dnat to 10.0.0.2
        ip6 saddr fe80::1 dnat to fe80::2
        dnat ip to numgen inc mod 2 map { 0 : 10.0.0.2, 1 : 10.0.0.3 }
        dnat ip6 to numgen inc mod 2 map { 0 : fe80::1, 1 : fe80::2 }
        tcp dport 80 redirect to :8080
        redirect
        meta nfproto ipv4 redirect
        meta nfproto ipv4 dnat to 10.0.0.1
    "#,
};

pub(super) const INET_NAT_POST: Chain = Chain {
    setting: "table inet nat { chain c { type nat hook postrouting priority srcnat; policy accept; }
        }
        table ip6 nat { chain c { type nat hook postrouting priority srcnat; policy accept; }
        }",
    place: "inet nat c",
    rules: r#"
        masquerade
        meta nfproto ipv4 masquerade
        ip saddr 10.0.0.0/8 masquerade
        snat ip to 1.2.3.4
        snat ip6 to fe80::1
        snat ip6 to fe80::1-fe80::9
        tcp dport 80 snat ip6 to [fe80::1]:80-90
        tcp dport 80 snat ip6 to [fe80::1]-[fe80::5]:80-90 random
        tcp dport 80 snat ip to 1.2.3.4:1000-2000
    "#,
};
