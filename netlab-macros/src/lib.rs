//! The attribute `#[netlab::test]`. Use it through the crate `netlab`.

use proc_macro::TokenStream;

mod arguments;
mod expand;

// Documented where it is re-exported: the example there needs `netlab`.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(arguments.into(), item.into()).into()
}
