//! How far a count strays by chance.

use std::ops::RangeInclusive;

/// The range in which the number of successes is of so many independent tries, each with that probability, but for once in `odds` times at
/// most. It is exact (the binomial distribution), and the narrowest of those that leave the same chance on either side.
pub(crate) fn range(tries: u64, probability: f64, odds: f64) -> RangeInclusive<u64> {
    let chances = chances(tries, probability);
    let left_out = |from_one_end: &mut dyn Iterator<Item = &f64>| {
        let mut sum = 0.0;
        from_one_end
            .take_while(|chance| {
                sum += **chance;
                sum <= 0.5 / odds
            })
            .count() as u64
    };
    left_out(&mut chances.iter())..=tries - left_out(&mut chances.iter().rev())
}

/// The chance of each number of successes, from none to all.
fn chances(tries: u64, probability: f64) -> Vec<f64> {
    let (yes, no) = (probability.ln(), (1.0 - probability).ln());
    let mut ways = 0.0; // the logarithm of the number of ways to choose them
    (0..=tries)
        .map(|successes| {
            if successes > 0 {
                ways += ((tries - successes + 1) as f64).ln() - (successes as f64).ln();
            }
            (ways + successes as f64 * yes + (tries - successes) as f64 * no).exp()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chances_of_all_numbers_are_one_together() {
        for (tries, probability) in [(1, 0.5), (10, 0.1), (200, 0.5), (1000, 1.0 / 3.0)] {
            let sum: f64 = chances(tries, probability).iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{tries} {probability}: {sum}");
        }
        assert_eq!(chances(2, 0.5), [0.25, 0.5, 0.25]);
    }

    #[test]
    fn few_tries_may_come_out_in_any_way() {
        assert_eq!(range(10, 0.5, 1e6), 0..=10);
        // All heads or all tails of ten coins: 2 in 1024.
        assert_eq!(range(10, 0.5, 512.0), 1..=9);
        assert_eq!(range(10, 0.5, 513.0), 0..=10);
    }

    #[test]
    fn what_is_left_out_is_once_in_the_odds_and_one_more_would_be_too_much() {
        let range = range(200, 0.5, 1e6);
        let outside = |range: &RangeInclusive<u64>| -> f64 {
            let all = chances(200, 0.5);
            all.iter().zip(0..).filter(|(_, n)| !range.contains(n)).map(|(chance, _)| chance).sum()
        };
        assert_eq!(range.start() + range.end(), 200);
        assert!(outside(&range) <= 1e-6, "{range:?}");
        assert!(outside(&(range.start() + 1..=range.end() - 1)) > 1e-6, "{range:?}");
    }
}
