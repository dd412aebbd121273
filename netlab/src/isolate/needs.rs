//! What a test says it needs of the kernel, asked before its body runs.

use crate::feature::{Feature, Question};
use crate::sys::{Refusal, feature, namespace};

/// Why the test cannot run here; `None` if it can.
pub(super) fn missing(needs: &[&str]) -> Option<String> {
    if needs.is_empty() {
        return None;
    }
    // In a network namespace that only the questions see: what they leave goes with it.
    let asked = namespace::create(|| Ok(needs.iter().filter_map(|name| ask(name)).collect::<Vec<String>>()));
    let missing = match asked {
        Ok((_, missing)) => missing,
        Err(e) => vec![format!("this kernel cannot be asked for what the test needs: {e}")],
    };
    (!missing.is_empty()).then(|| missing.join("\n"))
}

fn ask(name: &str) -> Option<String> {
    let Some(known) = Feature::named(name) else {
        return Some(format!(
            "the test needs `{name}`, of which this version of netlab knows nothing: are netlab and netlab-macros equal?"
        ));
    };
    let (request, answer): (String, Result<(), Refusal>) = match known.question {
        Question::Link => (format!("a link of type {name}"), feature::link(name)),
        Question::Qdisc => (format!("a queueing discipline {name}"), feature::qdisc(name)),
        Question::Tun => ("the device /dev/net/tun".to_owned(), feature::tun()),
        Question::Chain(kind) => (format!("an nf_tables chain of type {kind}"), feature::chain(kind)),
    };
    let refusal = answer.err()?;
    let help = known.help(refusal.errno);
    Some(format!("the test needs `{name}`: asked for {request}, the kernel says: {refusal}\n  help: {help}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_feature_is_not_taken_for_one_that_is_there() {
        assert!(ask("warp").is_some_and(|why| why.contains("`warp`")));
    }
}
