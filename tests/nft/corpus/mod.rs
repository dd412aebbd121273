//! Rules in nft's language, by the chain that they go into.

mod nat;

use nat::{INET_NAT_POST, INET_NAT_PRE, NAT_POST, NAT_PRE};

/// Rules for one chain.
pub(crate) struct Chain {
    /// What `nft -f` loads first.
    pub(crate) setting: &'static str,
    /// Family, table and chain.
    pub(crate) place: &'static str,
    pub(crate) rules: &'static str,
}

pub(crate) const CHAINS: &[Chain] =
    &[INET_FILTER, IP_FILTER, IP6_FILTER, BRIDGE, NETDEV, NAT_POST, NAT_PRE, INET_NAT_PRE, INET_NAT_POST, MANGLE, ARP, RAW];

const INET_FILTER: Chain = Chain {
    setting: "
        table inet t {
            set addresses { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.1.5-192.168.1.9, 1.1.1.1 } }
            set six { type ipv6_addr; elements = { fe80::1, ::1, 2001:db8::5 } }
            set pairs { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 80, 10.0.0.2 . 443 } }
            set ranges { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/24 . 80-90, 10.1.0.1 . 443 } }
            set slowly { type ipv4_addr; flags timeout; timeout 1h; }
            set dyn { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }
            set kept { type inet_service; comment \"ports\"; elements = { 22 comment \"ssh\", 80 } }
            set marked { type mark; elements = { 1, 2, 0x100 } }
            set links { type ifname; elements = { \"eth0\", \"lo\", \"wan1\", \"ab\" } }
            set merged { type inet_service; flags interval; auto-merge; elements = { 1-10, 5-20, 30 } }
            set small { type ipv4_addr; policy memory; size 100; gc-interval 10s; timeout 10m; }
            map targets { type inet_service : ipv4_addr; elements = { 80 : 1.2.3.4, 443 : 1.2.3.5 } }
            map verdicts { type ifname : verdict; flags interval; elements = { \"eth*\" : jump other, \"lo\" : accept } }
            map mark_of { type ipv4_addr : mark; flags interval; elements = { 10.0.0.0/24 : 0x1, 10.0.1.0/24 : 0x2 } }
            counter hits { packets 5 bytes 100; }
            quota big { over 25 mbytes }
            limit slow { rate 5/minute }
            map count_of { type ipv4_addr : counter; elements = { 1.2.3.4 : \"hits\" } }
            chain other { }
            chain c { comment \"the chain\"; type filter hook forward priority filter - 5; policy drop; }
        }",
    place: "inet t c",
    rules: r#"
        accept
        drop
        return
        continue
        jump other
        goto other
        counter
        counter accept
        counter comment "with a comment"
        iifname "eth0" accept
        iifname != "eth0" drop
        iifname "eth*" accept
        iifname != "veth*" accept
        oifname "wan0" accept
        oifname { "a", "lan0", "lo" } accept
        iifname { "eth*", "lo" } accept
        iif lo accept
        oif != "lo" accept
        iif { "lo" } accept
        iifgroup default
        iifgroup 5
        ip saddr 10.0.0.1
        ip saddr != 10.0.0.1
        ip saddr 10.0.0.0/8
        ip saddr 10.0.0.0/24 accept
        ip daddr 10.0.0.0/20 accept
        ip daddr != 10.64.0.0/10 accept
        ip saddr 10.0.0.1-10.0.0.9
        ip saddr != 10.0.0.1-10.0.0.9 drop
        ip saddr { 10.0.0.1, 10.0.0.2 } accept
        ip saddr { 10.0.0.0/24, 10.0.2.0-10.0.2.7, 172.16.0.1 } accept
        ip saddr != { 10.0.0.1, 10.0.0.2 } accept
        ip saddr @addresses drop
        ip saddr != @addresses drop
        ip6 saddr @six accept
        ip saddr 0.0.0.0/1 drop
        ip saddr & 0.0.0.255 == 0.0.0.3
        ip saddr 10.0.0.1 ip daddr 10.0.0.2 accept
        ip saddr . tcp dport @pairs accept
        ip saddr . tcp dport { 10.0.0.1 . 80, 10.0.0.2 . 443 } accept
        ip saddr . tcp dport @ranges accept
        ip saddr . ip daddr . tcp dport { 10.0.0.1 . 10.0.0.2 . 80 }
        iifname . ip saddr { "eth0" . 10.0.0.1 } accept
        meta mark . tcp dport { 0x1 . 80 }
        ct state . tcp dport { new . 80 }
        ip6 saddr fe80::1
        ip6 saddr fe80::/10
        ip6 daddr 2001:db8::/64
        ip6 daddr != 2001:db8::/65
        ip6 saddr != fe80::1-fe80::ff
        ip6 saddr { fe80::/10, ::1, 2001:db8::1-2001:db8::ff } accept
        ip6 saddr ::ffff:1.2.3.4
        ip6 saddr ::1.2.3.4
        ip6 saddr ::
        tcp dport 80
        tcp dport != 80
        tcp dport 22-25 accept
        tcp dport != 22-25 accept
        tcp sport 1024-65535 tcp dport 80 accept
        tcp dport >= 1024
        tcp dport < 1024
        tcp dport { 22, 80, 443 } accept
        tcp dport { 22, 80, 8000-8100 } accept
        tcp dport != { 22, 80 } accept
        tcp dport @kept accept
        tcp sport 1 tcp dport 2
        udp dport 53 accept
        udp sport 67 udp dport 68 accept
        udp length > 100
        sctp dport 80
        dccp dport 80
        udplite dport 80
        meta l4proto { tcp, udp } th dport 53
        th dport 53
        meta l4proto tcp
        meta l4proto != tcp
        meta l4proto 200
        meta l4proto { tcp, udp, icmp, ipv6-icmp }
        meta l4proto icmp
        meta nfproto ipv4
        meta nfproto ipv6 accept
        meta nfproto ipv4 tcp dport 22
        meta nfproto ipv4 counter ip saddr 10.0.0.1
        meta nfproto ipv4 meta l4proto tcp
        tcp dport 80 ct original proto-dst 80
        tcp dport 80 counter tcp sport 5
        meta l4proto tcp counter tcp sport 5
        ip saddr 10.0.0.1 counter ip daddr 10.0.0.2
        ip saddr vmap { 10.0.0.1 : accept } tcp dport 80
        ct state new ip saddr 10.0.0.1 log tcp dport 80 accept
        ip protocol tcp
        ip protocol tcp tcp dport 80
        ip protocol { tcp, udp }
        ip6 nexthdr tcp tcp dport 80
        ip ttl 64
        ip ttl < 5
        ip version 4
        ip hdrlength 5
        ip dscp cs1
        ip dscp != af11
        ip dscp 0x3f
        ip dscp { cs1, af41 }
        ip ecn ce
        ip length 100-200
        ip id 5
        ip frag-off & 0x1fff != 0
        ip frag-off 0
        ip checksum 5
        ip6 dscp cs1
        ip6 flowlabel 5
        ip6 hoplimit 64
        ip6 length 100
        icmp type echo-request
        icmp type echo-request accept
        icmp type { echo-request, echo-reply } accept
        icmp type != echo-request
        icmp type 200
        icmp type destination-unreachable icmp code 3
        icmp code port-unreachable
        icmpv6 type echo-request
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
        icmpv6 code no-route
        meta nfproto ipv4 icmp type echo-request
        ip saddr 10.0.0.1 icmp type echo-request accept
        igmp type membership-query
        tcp flags syn
        tcp flags != syn
        tcp flags == syn
        tcp flags ! syn
        tcp flags syn,ack
        tcp flags & (syn|ack) == syn
        tcp flags & (fin|syn|rst|ack) == syn accept
        tcp flags & (syn|ack) == syn|ack
        tcp flags & (syn|ack) != syn
        tcp flags & syn == 0
        tcp flags & (syn|ack) == 0
        tcp flags { syn, ack }
        tcp flags { syn | ack, rst }
        tcp flags syn / fin,syn,rst,ack
        tcp option maxseg size 1460
        tcp option maxseg exists
        tcp option sack-perm missing
        tcp window 1000
        tcp sequence 5
        tcp doff 5
        meta mark 1
        meta mark != 0x10
        meta mark & 0xff == 0x10
        meta mark & 0xff != 0x10
        meta mark and 0x4000 == 0x4000
        meta mark & 0xffff0000 == 0x00010000
        meta mark 0x10-0x20
        meta mark { 1, 2, 0x10 }
        meta mark { 1-5, 7 }
        meta mark @marked
        meta mark > 5
        iifname @links
        ct mark 0x5
        ct mark & 0xff == 0x10
        ct mark @marked
        ct state new
        ct state != new
        ct state established,related accept
        ct state { new, established }
        ct state == new
        ct state ! established
        ct state invalid drop
        ct state untracked
        ct state vmap { established : accept, related : accept, invalid : drop }
        ct status dnat accept
        ct status snat,dnat
        ct status != dnat
        ct status ! dnat
        ct direction original
        ct direction reply accept
        ct original ip daddr 1.2.3.4
        ct original ip saddr 10.0.0.0/8
        ct reply ip daddr != 1.2.3.4
        ct original ip6 daddr fe80::1
        ct original ip daddr { 1.2.3.4, 1.2.3.5 }
        ct original protocol tcp
        ct original l3proto ipv4
        ct original packets > 10
        ct bytes > 100000
        ct zone 5
        ct expiration 30s
        ct helper "ftp"
        ct id 12345
        fib daddr type local
        fib daddr type != local accept
        fib daddr type { local, broadcast }
        fib saddr type unicast
        fib saddr . iif oif missing drop
        fib saddr . iif oif exists
        fib saddr oif "lo"
        fib daddr . iif type local
        fib saddr oifname "lo"
        ether saddr 00:11:22:33:44:55
        ether daddr != 00:11:22:33:44:55
        ether saddr { 00:11:22:33:44:55, 00:11:22:33:44:66 }
        ether type ip
        ether type arp
        ether type 0x1234
        meta protocol ip
        meta protocol { ip, ip6 }
        meta iiftype ether
        meta iiftype loopback
        meta pkttype broadcast
        meta pkttype { broadcast, multicast }
        meta length 100-200
        meta length > 1000
        meta skuid 1000
        meta skgid != 0
        meta cpu 0
        meta cgroup 5
        meta priority none
        meta random < 1000
        meta iifkind "bridge"
        meta oifkind "veth"
        meta ipsec exists
        rt ip nexthop 10.0.0.1
        rt ip6 nexthop fe80::1
        rt mtu 1500
        numgen inc mod 2 0
        numgen inc mod 10 offset 5 7
        numgen random mod 10 < 5
        numgen random mod 100 0-49 accept
        numgen inc mod 10 vmap { 0-4 : drop, 5-9 : accept }
        numgen inc mod 2 vmap { 0 : jump other, 1 : goto other }
        jhash ip saddr mod 2 seed 0x5 0
        jhash ip saddr . tcp dport mod 3 { 0, 1 }
        symhash mod 2 1
        limit rate 10/second
        limit rate 10/second burst 20 packets accept
        limit rate over 5/minute drop
        limit rate 1/hour
        limit rate 1/day
        limit rate 1/week
        limit rate 10 kbytes/second
        limit rate over 1 mbytes/second burst 2 mbytes drop
        limit rate 1023 bytes/second
        quota 25 mbytes
        quota over 1000 bytes drop
        quota 5 kbytes
        ct count 20
        ct count over 5 reject
        log
        log prefix "a prefix: "
        log group 2
        log prefix "x" group 2 snaplen 64 queue-threshold 10
        log level debug
        log level warn
        log prefix "y" level info flags all
        log flags tcp sequence,options
        log flags ip options flags skuid
        log flags ether
        reject
        reject with tcp reset
        reject with icmp port-unreachable
        reject with icmp host-unreachable
        reject with icmpv6 no-route
        reject with icmpv6 port-unreachable
        reject with icmpx port-unreachable
        reject with icmpx admin-prohibited
        meta nfproto ipv4 reject
        meta nfproto ipv6 reject
        meta l4proto tcp reject with tcp reset
        tcp dport 80 reject with tcp reset
        ip protocol tcp reject
        meta mark set 0x10
        meta mark set meta mark & 0xffffff00 | 0x1
        meta mark set meta mark | 0x4000
        meta mark set meta mark ^ 0x4000
        meta mark set meta mark & 0xff
        meta mark set ct mark
        meta mark set numgen inc mod 2
        meta mark set ip saddr map { 10.0.0.1 : 0x1, 10.0.0.2 : 0x2 }
        meta mark set ip saddr map @mark_of
        meta mark set meta mark << 8
        meta mark set meta mark >> 4
        ct mark set meta mark
        ct mark set 0x5
        ct mark set ct mark & 0xffffff00 | 0x5
        meta nftrace set 1
        meta priority set none
        meta iifname "a" meta oifname "b"
        ip dscp set cs1
        ip ttl set 5
        ip ecn set ce
        ip saddr set 1.2.3.4
        ip6 dscp set cs2
        ip6 hoplimit set 3
        tcp dport set 80
        udp sport set 5
        ether saddr set 00:11:22:33:44:55
        tcp option maxseg size set 1400
        tcp option maxseg size set rt mtu
        iifname vmap @verdicts
        iifname vmap { "eth0" : accept, "eth1" : drop, "eth2" : jump other }
        tcp dport vmap { 22 : accept, 80-90 : drop }
        ip saddr vmap { 10.0.0.0/8 : accept, 192.168.0.0/16 : continue }
        ip saddr . tcp dport vmap { 10.0.0.1 . 80 : accept }
        ip protocol vmap { tcp : jump other, udp : accept }
        counter name "hits"
        counter name "hits" drop
        quota name "big" drop
        limit name "slow" accept
        counter name ip saddr map @count_of
        add @slowly { ip saddr }
        update @dyn { ip saddr }
        update @dyn { ip saddr timeout 5s }
        add @dyn { ip saddr limit rate 10/second } drop
        update @dyn { ip saddr counter }
        update @dyn { ip saddr limit rate over 10/second burst 7 packets } drop
        delete @dyn { ip saddr }
        @th,16,16 80
        @nh,8,16 0x1234
        @ll,0,48 0x112233445566
        exthdr frag exists
        exthdr hbh missing
        ah spi 5
        esp spi 5
        vlan id 5
    "#,
};

const IP_FILTER: Chain = Chain {
    setting: "table ip filter { chain x { }
        chain INPUT { type filter hook input priority 0; policy accept; }
        }",
    place: "ip filter INPUT",
    rules: r#"
        ip saddr 10.0.0.1
        ip protocol tcp
        ip protocol tcp tcp dport 80
        ip protocol != udp
        meta l4proto tcp tcp dport 80
        tcp dport 80 counter accept
        icmp type echo-request accept
        meta l4proto icmp
        ip protocol icmp icmp type echo-request
        reject
        reject with icmp host-unreachable
        reject with icmp net-prohibited
        reject with tcp reset
        tcp dport 5 reject with tcp reset
        meta l4proto tcp reject with tcp reset
        ip saddr 10.0.0.0/8 ip daddr 10.0.0.0/8 tcp sport 5 tcp dport 6 accept
        ip ttl 5 ip protocol udp
        ct original saddr 10.0.0.1
        ct original daddr 10.0.0.2
        ct state new tcp dport { 80, 443 } ct count 5
        ether saddr 00:11:22:33:44:55 accept
        meta mark & 0x1 == 0x1 goto x
        numgen inc mod 3 vmap { 0 : jump x, 1 : accept, 2 : drop }
        dup to 10.0.0.1 device "lo"
        log group 5 counter drop
    "#,
};

const IP6_FILTER: Chain = Chain {
    setting: "table ip6 filter { chain INPUT { type filter hook input priority 10; policy drop; }
        }",
    place: "ip6 filter INPUT",
    rules: r#"
        ip6 saddr fe80::1
        ip6 nexthdr tcp
        ip6 nexthdr tcp tcp dport 80
        ip6 nexthdr { tcp, udp }
        tcp dport 80 accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        meta l4proto ipv6-icmp
        reject
        reject with icmpv6 no-route
        reject with icmpv6 admin-prohibited
        reject with tcp reset
        ct original saddr fe80::1
        exthdr frag exists
        ip6 saddr fe80::/64 ip6 daddr ff02::1 accept
    "#,
};

const BRIDGE: Chain = Chain {
    setting: "table bridge t { chain c { type filter hook forward priority filter; policy accept; }
        }",
    place: "bridge t c",
    rules: r#"
        ether saddr 00:11:22:33:44:55
        ether daddr ff:ff:ff:ff:ff:ff drop
        ether type arp
        ether type ip accept
        ip saddr 10.0.0.1
        ip6 saddr fe80::1
        tcp dport 80
        ip saddr 10.0.0.1 tcp dport 80 drop
        meta protocol ip
        meta protocol ip6 tcp dport 80
        arp operation request
        arp saddr ip 10.0.0.1
        arp saddr ether 00:11:22:33:44:55
        arp daddr ip 10.0.0.1 drop
        icmp type echo-request drop
        icmpv6 type echo-request drop
        iifname "eth0" oifname "eth1" accept
        vlan id 5
        vlan id 5 ip saddr 10.0.0.1
        ether type vlan
        meta pkttype broadcast drop
        ip protocol tcp
        ip protocol tcp tcp dport 80
        meta mark set 0x1
    "#,
};

const NETDEV: Chain = Chain {
    setting: "table netdev t { chain c { type filter hook ingress device \"lo\" priority filter; policy accept; }
        chain out { type filter hook egress device \"lo\" priority 5; policy drop; }
        chain far { type filter hook ingress device \"lo\" priority -500; }
        }",
    place: "netdev t c",
    rules: r#"
        ip saddr 10.0.0.1 drop
        ip6 saddr fe80::1
        tcp dport 80 drop
        udp dport 53 counter
        ether saddr 00:11:22:33:44:55 drop
        ether type arp
        meta protocol ip
        arp operation request drop
        icmp type echo-request
        fwd to "lo"
        dup to "lo"
        meta mark set 0x1
        iifname "lo"
        ip daddr { 10.0.0.1, 10.0.0.2 } drop
    "#,
};

const MANGLE: Chain = Chain {
    setting: "table ip mangle { chain PREROUTING { type filter hook prerouting priority mangle; policy accept; }
            chain OUTPUT { type route hook output priority mangle; policy accept; }
            chain named { type filter hook forward priority security; }
            chain number { type filter hook forward priority 71; }
        }
        table ip6 mangle { chain PREROUTING { type filter hook prerouting priority -149; policy accept; }
        }
        table inet empty { }",
    place: "ip mangle PREROUTING",
    rules: r#"
        tcp dport 80 tproxy to :50080
        tcp dport 80 tproxy to 127.0.0.1:50080
        tcp dport 80 tproxy to 127.0.0.1
        meta l4proto tcp tproxy to 127.0.0.1:50080 meta mark set 0x1 accept
        ip dscp set cs1
        meta mark set 0x4000
        ct mark set meta mark
        meta mark set ct mark
        notrack
        socket transparent 1 meta mark set 0x1 accept
        ip daddr 10.0.0.1 meta mark set meta mark | 0x1
    "#,
};

const ARP: Chain = Chain {
    setting: "table arp t { chain c { type filter hook input priority filter; policy accept; }
        }",
    place: "arp t c",
    rules: r#"
        arp operation request
        arp operation { request, reply }
        arp saddr ip 10.0.0.1
        arp daddr ip != 10.0.0.0/8 drop
        arp saddr ether 00:11:22:33:44:55
        arp htype 1
        arp ptype ip
        arp hlen 6
        ether saddr 00:11:22:33:44:55
        meta mark set 0x5
    "#,
};

const RAW: Chain = Chain {
    setting: "table inet raw { flags dormant; comment \"the table\"; chain c { type filter hook prerouting priority raw; policy accept; }
        chain ingress { type filter hook ingress device \"lo\" priority 0; policy accept; }
        }",
    place: "inet raw c",
    rules: r#"
        notrack
        udp dport 53 notrack
        meta nftrace set 1
        ct zone set 5
        tcp dport 80 tproxy ip to 127.0.0.1:50080
        tcp dport 80 tproxy ip6 to [::1]:50080
        tcp dport 80 tproxy to :50080
    "#,
};
