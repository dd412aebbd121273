//! What stands in the parentheses of `#[netlab::test(…)]`.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Ident, LitStr, Token, parenthesized};

const ACCEPTED: &str = "`timeout = \"10s\"`, `needs(tun, nat, …)` and `host`";
const DURATIONS: &str = "a whole number above zero with its unit, such as \"10s\", \"250ms\" or \"2m\"";

/// The kernel features that can be asked for; the runtime has a probe for each.
const FEATURES: &[&str] = &[
    "bareudp",
    "bond",
    "bridge",
    "dummy",
    "geneve",
    "gre",
    "ifb",
    "ipip",
    "ipvlan",
    "ipvs",
    "macvlan",
    "macvtap",
    "nat",
    "netem",
    "nft",
    "sit",
    "tap",
    "tun",
    "veth",
    "vlan",
    "vrf",
    "vxlan",
    "wireguard",
];

/// The default time that a body may take.
const TIMEOUT_MS: u64 = 60_000;

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) timeout_ms: u64,
    pub(crate) needs: Vec<String>,
    pub(crate) host: bool,
}

impl Arguments {
    /// What could be read, and all that could not.
    pub(crate) fn parse(tokens: TokenStream) -> (Self, Vec<Error>) {
        let mut arguments = Self { timeout_ms: TIMEOUT_MS, needs: Vec::new(), host: false };
        let mut errors = Vec::new();
        let parser = |input: ParseStream<'_>| arguments.read(input, &mut errors);
        if let Err(e) = parser.parse2(tokens) {
            errors.push(e);
        }
        (arguments, errors)
    }

    fn read(&mut self, input: ParseStream<'_>, errors: &mut Vec<Error>) -> syn::Result<()> {
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let name: Ident = input.parse().map_err(|e| Error::new(e.span(), format!("expected an argument: {ACCEPTED}")))?;
            if seen.contains(&name) {
                errors.push(Error::new(name.span(), format!("`{name}` is given twice")));
            }
            match name.to_string().as_str() {
                "timeout" => self.timeout(&name, input, errors)?,
                "needs" => self.needs(&name, input, errors)?,
                "host" => self.host = true,
                unknown => {
                    errors.push(Error::new(name.span(), format!("unknown argument `{unknown}`; `#[netlab::test]` accepts {ACCEPTED}")));
                    skip(input);
                }
            }
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>().map_err(|e| Error::new(e.span(), "expected `,` between the arguments"))?;
            }
        }
        Ok(())
    }

    fn timeout(&mut self, name: &Ident, input: ParseStream<'_>, errors: &mut Vec<Error>) -> syn::Result<()> {
        if !input.peek(Token![=]) {
            return Err(Error::new(name.span(), format!("`timeout` takes a value: `timeout = \"10s\"`; {DURATIONS}")));
        }
        input.parse::<Token![=]>()?;
        let value: LitStr = input.parse().map_err(|e| Error::new(e.span(), format!("expected {DURATIONS}")))?;
        match milliseconds(&value.value()) {
            Some(ms) => self.timeout_ms = ms,
            None => errors.push(Error::new(value.span(), format!("expected {DURATIONS}"))),
        }
        Ok(())
    }

    fn needs(&mut self, name: &Ident, input: ParseStream<'_>, errors: &mut Vec<Error>) -> syn::Result<()> {
        if !input.peek(syn::token::Paren) {
            return Err(Error::new(name.span(), "`needs` takes a list: `needs(tun, nat)`"));
        }
        let list;
        parenthesized!(list in input);
        for feature in list.parse_terminated(Ident::parse_any_feature, Token![,])? {
            let word = feature.to_string();
            if FEATURES.contains(&word.as_str()) {
                self.needs.push(word);
            } else {
                errors.push(Error::new(feature.span(), format!("unknown feature `{word}`; `needs` knows {}", FEATURES.join(", "))));
            }
        }
        Ok(())
    }
}

trait ParseFeature: Sized {
    fn parse_any_feature(input: ParseStream<'_>) -> syn::Result<Self>;
}

impl ParseFeature for Ident {
    fn parse_any_feature(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse().map_err(|e: Error| Error::new(e.span(), format!("expected the name of a kernel feature: {}", FEATURES.join(", "))))
    }
}

/// Goes on behind an argument that nobody knows, so that the others are checked too.
fn skip(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        // Any token tree will do, and there is one.
        if input.parse::<proc_macro2::TokenTree>().is_err() {
            return;
        }
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|ms| *ms > 0)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        for (text, ms) in [("10s", Some(10_000)), ("250ms", Some(250)), ("2m", Some(120_000))] {
            assert_eq!(milliseconds(text), ms);
        }
        for text in ["", "10", "s", "0s", "-1s", "1.5s", "10 s", "1h", "99999999999999999999s", "18446744073709551615m"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
