//! Two thousand machines in one binary, and two hundred plain tests beside them for the benchmark `machine`.

/// A module with ten of `$inner` in it: modules of modules, since macros by example cannot count names.
macro_rules! ten {
    ($name:ident: $($inner:tt)*) => {
        mod $name {
            ten_of! { n0 $($inner)* }
            ten_of! { n1 $($inner)* }
            ten_of! { n2 $($inner)* }
            ten_of! { n3 $($inner)* }
            ten_of! { n4 $($inner)* }
            ten_of! { n5 $($inner)* }
            ten_of! { n6 $($inner)* }
            ten_of! { n7 $($inner)* }
            ten_of! { n8 $($inner)* }
            ten_of! { n9 $($inner)* }
        }
    };
}

macro_rules! ten_of {
    ($name:ident isolated) => {
        #[netlab::test]
        fn $name() {}
    };
    // The last of many machines is as the first.
    ($name:ident alike) => {
        #[netlab::test]
        fn $name() -> netlab::Result<()> {
            let sysctl = |key| netlab::Netns::current()?.sysctl(key);
            assert_eq!((sysctl("net.ipv4.icmp_ratelimit")?.as_str(), sysctl("net.ipv6.icmp.ratelimit")?.as_str()), ("0", "0"));
            Ok(())
        }
    };
    ($name:ident plain) => {
        #[test]
        fn $name() {}
    };
    ($name:ident ten $($inner:tt)*) => {
        ten! { $name: $($inner)* }
    };
}

ten! { alpha: ten ten isolated }
ten! { beta: ten ten alike }

mod plain {
    ten! { gamma: ten plain }
    ten! { delta: ten plain }
}
