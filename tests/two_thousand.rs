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
    ($name:ident plain) => {
        #[test]
        fn $name() {}
    };
    ($name:ident ten $($inner:tt)*) => {
        ten! { $name: $($inner)* }
    };
}

ten! { alpha: ten ten isolated }
ten! { beta: ten ten isolated }

mod plain {
    ten! { gamma: ten plain }
    ten! { delta: ten plain }
}
