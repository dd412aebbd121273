//! Every stage of every tutorial, each in a machine of its own.

/// A test for each stage: `name = "id",`.
macro_rules! stages {
    ($document:literal: $($name:ident = $id:literal,)*) => {
        $(
            #[netlab::test]
            fn $name() -> scenarios::Result<()> {
                scenarios::toolbox::use_program(env!("CARGO_BIN_EXE_scenarios"));
                scenarios::test($id)
            }
        )*

        #[test]
        fn every_stage_has_its_test() {
            let tests = [$((stringify!($name).to_owned(), $id)),*];
            let (document, _) = scenarios::select($document).unwrap()[0];
            let stages: Vec<_> = document.stages().map(|stage| (stage.test_name(), stage.id)).collect();
            assert_eq!(tests.as_slice(), stages);
        }
    };
}

mod doc_000 {
    stages! { "000":
        stage_01_one_server = "000.01",
        stage_02_port_clash = "000.02",
        stage_03_new_netns = "000.03",
        stage_04_host_s_localhost = "000.04",
        stage_05_localhost_inside_fails = "000.05",
        stage_06_lo_is_down = "000.06",
        stage_07_lo_up = "000.07",
        stage_08_own_localhost = "000.08",
        stage_09_veth_pair = "000.09",
        stage_10_one_end_up = "000.10",
        stage_11_move_the_peer = "000.11",
        stage_12_peer_up = "000.12",
        stage_13_addresses = "000.13",
        stage_14_four_pings = "000.14",
        stage_15_curl_from_the_host = "000.15",
        stage_16_curl_from_the_namespace = "000.16",
        stage_17_the_host_s_other_address_fails = "000.17",
        stage_18_default_route = "000.18",
        stage_19_no_internet = "000.19",
        stage_20_ip_forward = "000.20",
        stage_21_forward_rules_only = "000.21",
        stage_22_masquerade = "000.22",
        stage_23_dns_still_fails = "000.23",
        stage_24_etc_netns = "000.24",
        stage_25_second_namespace = "000.25",
        stage_26_ambiguity = "000.26",
        stage_27_a_network_of_its_own = "000.27",
        stage_28_bridge_home = "000.28",
        stage_29_host_to_both = "000.29",
        stage_30_cross_pings_fail = "000.30",
        stage_31_bridge_to_bridge = "000.31",
        stage_32_uplink_rules = "000.32",
        stage_33_the_host_by_192_168_0_100 = "000.33",
        stage_34_future_veth = "000.34",
        stage_35_clean_up = "000.35",
    }
}

mod doc_001 {
    stages! { "001":
        stage_01_an_image = "001.01",
        stage_02_chroot = "001.02",
        stage_03_proc_in_the_chroot = "001.03",
        stage_04_a_pid_namespace = "001.04",
        stage_05_a_container = "001.05",
        stage_06_no_way_to_the_node = "001.06",
        stage_07_a_cable_by_process_id = "001.07",
        stage_08_rename = "001.08",
        stage_09_how_many_there_can_be = "001.09",
        stage_10_address_and_up = "001.10",
        stage_11_a_second_container = "001.11",
        stage_12_a_bridge = "001.12",
        stage_13_no_way_out_yet = "001.13",
        stage_14_out_by_translation = "001.14",
        stage_15_a_second_node = "001.15",
        stage_16_no_route_to_the_other_node_s_containers = "001.16",
        stage_17_static_routes = "001.17",
        stage_20_an_address_alone = "001.20",
        stage_21_six_sysctls = "001.21",
        stage_22_169_254_1_1 = "001.22",
        stage_23_a_route_to_the_container = "001.23",
        stage_24_which_knob_it_is = "001.24",
        stage_25_a_hole_for_the_rest = "001.25",
        stage_26_a_second_container_of_the_node = "001.26",
        stage_27_a_container_of_another_node = "001.27",
        stage_28_the_internet_translated_once = "001.28",
        stage_30_nsenter = "001.30",
    }
}

mod doc_002 {
    stages! { "002":
        stage_01_invisible_namespaces = "002.01",
        stage_02_names_for_them = "002.02",
        stage_03_inside = "002.03",
        stage_04_on_the_host = "002.04",
        stage_05_ports_and_addresses = "002.05",
        stage_06_con1_to_con2 = "002.06",
        stage_07_con1_to_con3 = "002.07",
        stage_08_the_number_behind_if = "002.08",
        stage_09_what_the_host_lists = "002.09",
        stage_10_what_a_container_lists = "002.10",
        stage_11_sample = "002.11",
        stage_12_veth1_and_veth2 = "002.12",
        stage_13_veth2_moves = "002.13",
        stage_14_nine_steps = "002.14",
        stage_15_host_and_sample = "002.15",
        stage_16_8_8_8_8 = "002.16",
        stage_17_a_name = "002.17",
        stage_18_forward_and_masquerade = "002.18",
        stage_19_names = "002.19",
        stage_20_what_leaves_by_the_bridge = "002.20",
        stage_21_docker_s_drop = "002.21",
    }
}

mod doc_003 {
    stages! { "003":
        stage_01_two_containers = "003.01",
        stage_02_by_the_container_s_address = "003.02",
        stage_03_not_from_outside = "003.03",
        stage_04_ports_of_the_host = "003.04",
        stage_05_from_the_host_itself = "003.05",
        stage_06_no_listener = "003.06",
        stage_07_a_process_on_the_same_port = "003.07",
        stage_08_userland_proxy = "003.08",
        stage_09_chains_of_a_service = "003.09",
        stage_10_balancing = "003.10",
        stage_11_virtual_address = "003.11",
        stage_12_the_service_from_outside = "003.12",
        stage_13_a_container_as_client = "003.13",
        stage_14_side_by_side = "003.14",
    }
}

mod doc_004 {
    stages! { "004":
        stage_01_one_container = "004.01",
        stage_02_a_second_container = "004.02",
        stage_03_a_shared_network_stack = "004.03",
        stage_04_port_clash_in_a_pod = "004.04",
        stage_05_pause = "004.05",
        stage_06_two_nodes = "004.06",
        stage_07_a_route_to_one_pod = "004.07",
        stage_08_the_same_subnet_twice = "004.08",
        stage_09_different_subnets = "004.09",
        stage_10_pod_cidr_and_routes = "004.10",
        stage_11_an_overlay = "004.11",
        stage_12_what_the_text_leaves_out = "004.12",
    }
}

#[test]
fn a_stage_that_is_not_there_is_an_error() {
    let e = scenarios::test("000.99").unwrap_err();
    assert_eq!(e.to_string(), "there is no stage 000.99");
}

mod systems {
    stages! { "systems":
        docker_bridge = "systems.docker-bridge",
        docker_icc = "systems.docker-icc",
        docker_dns = "systems.docker-dns",
        user_network = "systems.user-network",
        docker_proxy = "systems.docker-proxy",
        vxlan_overlay = "systems.vxlan-overlay",
        ipip = "systems.ipip",
        gre = "systems.gre",
        wireguard = "systems.wireguard",
        flannel_vxlan = "systems.flannel-vxlan",
        flannel_udp = "systems.flannel-udp",
        host_gw = "systems.host-gw",
        equal_subnets = "systems.equal-subnets",
        calico = "systems.calico",
        bgp = "systems.bgp",
        nodeport = "systems.nodeport",
        clusterip = "systems.clusterip",
        session_affinity = "systems.session-affinity",
        hairpin = "systems.hairpin",
        clusterip_nft = "systems.clusterip-nft",
        ipvs = "systems.ipvs",
        network_policy = "systems.network-policy",
        network_policy_sets = "systems.network-policy-sets",
        anti_spoofing = "systems.anti-spoofing",
        pod = "systems.pod",
        debugging = "systems.debugging",
        ping_capabilities = "systems.ping-capabilities",
        macvlan = "systems.macvlan",
        macvtap = "systems.macvtap",
        ipvlan = "systems.ipvlan",
        vlan = "systems.vlan",
    }
}
