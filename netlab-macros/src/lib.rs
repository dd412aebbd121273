//! The attribute `#[netlab::test]`. Use it through the crate `netlab`.

use proc_macro::TokenStream;

mod arguments;
mod expand;

/// Runs the function in a machine of its own.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(arguments.into(), item.into()).into()
}
