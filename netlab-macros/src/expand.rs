//! From the user's function to a test that makes one call into `netlab::__rt`.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, ItemFn, Lit, Meta, MetaNameValue, ReturnType, Safety, Type};

use crate::arguments::Arguments;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            let error = Error::new(Span::call_site(), "`#[netlab::test]` makes a test of a function: put it above `fn name() { … }`");
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };
    if function.attrs.iter().any(|attribute| is(attribute, &["rstest"])) {
        return below_rstest(&arguments, &function);
    }
    let (arguments, mut errors) = Arguments::parse(arguments);
    errors.extend(misuses(&function));
    match errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    }) {
        None => test(&arguments, &function),
        // The function stays, so that the compiler has more to say than that it is missing.
        Some(errors) => {
            let errors = errors.to_compile_error();
            quote!(#errors #[allow(dead_code)] #function)
        }
    }
}

/// rstest makes functions without arguments of this one, and puts the attributes below its own on each.
fn below_rstest(arguments: &TokenStream, function: &ItemFn) -> TokenStream {
    let ItemFn { attrs, vis, sig, block, .. } = function;
    quote!(#(#attrs)* #[::netlab::test(#arguments)] #vis #sig #block)
}

fn misuses(function: &ItemFn) -> Vec<Error> {
    let mut errors = Vec::new();
    let signature = &function.sig;
    for attribute in function.attrs.iter().filter(|attribute| is(attribute, &["test", "bench"])) {
        errors.push(Error::new_spanned(attribute, "this is a test twice: `#[netlab::test]` alone makes it one"));
    }
    if !signature.generics.params.is_empty() {
        errors.push(Error::new_spanned(&signature.generics, "a test cannot be generic: nobody says with which types to run it"));
    }
    if !signature.inputs.is_empty() {
        let message = "a test has no arguments; for cases and fixtures put `#[rstest]` above `#[netlab::test]`";
        errors.push(Error::new_spanned(&signature.inputs, message));
    }
    if let Some(asyncness) = signature.asyncness.as_ref().filter(|_| !cfg!(feature = "tokio")) {
        let message =
            "an async test needs a runtime: enable netlab's feature `tokio` (`netlab = { version = \"0.1\", features = [\"tokio\"] }`)";
        errors.push(Error::new_spanned(asyncness, message));
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        errors.push(Error::new_spanned(unsafety, "a test cannot be unsafe: put the unsafe block inside"));
    }
    if let Some(abi) = &signature.abi {
        errors.push(Error::new_spanned(abi, "a test is a plain `fn`"));
    }
    if takes_a_lock(&function.block.stmts.iter().map(|statement| quote!(#statement)).collect()) {
        let message = "`#[serial]` above `#[netlab::test]` would take its lock inside the test's own process, where nobody else waits for it: \
                       put it below";
        errors.push(Error::new(signature.ident.span(), message));
    }
    errors
}

/// Whether serial_test's attribute has been here already.
fn takes_a_lock(tokens: &TokenStream) -> bool {
    let mut crates = false;
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => {
            let word = ident.to_string();
            let lock = crates && word.starts_with("local_") && word.contains("_core");
            crates |= word == "serial_test";
            lock
        }
        TokenTree::Group(group) => takes_a_lock(&group.stream()),
        _ => false,
    })
}

fn test(arguments: &Arguments, function: &ItemFn) -> TokenStream {
    let ItemFn { attrs, vis, sig, block, .. } = function;
    // A lock in a file holds across processes, and the zygote must not wait for it on its way: it is taken in the machine.
    let (inside, outside): (Vec<_>, Vec<_>) = attrs.iter().partition(|attribute| is(attribute, &["file_serial", "file_parallel"]));
    let name = &sig.ident;
    let (timeout_ms, host) = (arguments.timeout_ms, arguments.host);
    let needs = &arguments.needs;
    let should_panic = match outside.iter().find_map(|attribute| should_panic(attribute)) {
        Some(expected) => quote!(::core::option::Option::Some(#expected)),
        None => quote!(::core::option::Option::None),
    };
    let elsewhere = (!outside.iter().any(|attribute| is(attribute, &["ignore"])))
        .then(|| quote!(#[cfg_attr(not(target_os = "linux"), ignore = "netlab needs Linux")]));
    let place = match &sig.output {
        ReturnType::Default => name.span(),
        ReturnType::Type(_, returned) => returned.span(),
    };
    // The error of a return type that is none of a test's belongs to that type.
    let function = Ident::new(&name.to_string(), name.span().located_at(place));
    let call = if sig.asyncness.is_some() {
        quote_spanned!(place=> ::netlab::__rt::block_on(#function))
    } else {
        quote_spanned!(place=> #function())
    };
    let exit = quote_spanned!(place=> ::netlab::__rt::exit(#call));
    let (line, path) = (quote_spanned!(name.span()=> ::core::line!()), name.to_string());
    // libtest knows the same two kinds, and allows `#[should_panic]` only for the first.
    let (returned, run) =
        if returns_unit(&sig.output) { (quote!(), quote!(run_unit)) } else { (quote!(-> ::std::process::ExitCode), quote!(run)) };
    quote! {
        #(#outside)*
        #elsewhere
        #[::core::prelude::v1::test]
        #vis fn #name() #returned {
            #(#inside)*
            #sig #block
            {
                static CASE: ::netlab::__rt::Case = ::netlab::__rt::Case {
                    path: ::core::concat!(::core::module_path!(), "::", #path),
                    file: ::core::file!(),
                    line: #line,
                    timeout_ms: #timeout_ms,
                    needs: &[#(#needs),*],
                    host: #host,
                    should_panic: #should_panic,
                    body: || #exit,
                };
                ::netlab::__rt::#run(&CASE)
            }
        }
    }
}

fn is(attribute: &Attribute, names: &[&str]) -> bool {
    attribute.path().segments.last().is_some_and(|segment| names.iter().any(|name| segment.ident == name))
}

/// The text that `#[should_panic]` expects; empty if it expects none.
fn should_panic(attribute: &Attribute) -> Option<String> {
    if !is(attribute, &["should_panic"]) {
        return None;
    }
    let text = |value: &Expr| match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    };
    let expected = match &attribute.meta {
        Meta::NameValue(pair) => text(&pair.value),
        Meta::List(list) => list.parse_args::<MetaNameValue>().ok().and_then(|pair| text(&pair.value)),
        Meta::Path(_) => None,
    };
    Some(expected.unwrap_or_default())
}

fn returns_unit(output: &ReturnType) -> bool {
    match output {
        ReturnType::Default => true,
        ReturnType::Type(_, returned) => matches!(&**returned, Type::Tuple(tuple) if tuple.elems.is_empty()),
    }
}
