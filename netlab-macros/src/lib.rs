//! The attribute `#[netlab::test]`. Use it through the crate `netlab`.

use proc_macro::TokenStream;

/// Runs the function in a machine of its own; see `netlab::test`.
#[proc_macro_attribute]
pub fn test(_args: TokenStream, item: TokenStream) -> TokenStream {
    item
}
