//! The decider, the answers, the pages.

mod answers;
mod pages;

use super::{Change, Rules, Standing};

/// The changes that answers (`+`, `-`) make.
fn run(mut standing: Standing, rules: Rules, answers: &str) -> (Standing, Vec<(usize, Change)>) {
    let mut changes = Vec::new();
    for (i, answer) in answers.chars().enumerate() {
        changes.extend(standing.record(answer == '+', rules).map(|c| (i, c)));
    }
    (standing, changes)
}

const RULES: Rules = Rules { rise: 2, fall: 3 };

#[test]
fn a_peer_turns_after_as_many_answers_in_a_row() {
    let up = Standing::first(false);
    assert_eq!(run(up, RULES, "--+--+--").1, []);
    let (standing, changes) = run(up, RULES, "---");
    assert_eq!((changes, standing), (vec![(2, Change::Down)], Standing { down: true, rise: 0, fall: 3 }));
    assert_eq!(run(standing, RULES, "+-+-+-").1, []);
    assert_eq!(run(standing, RULES, "-++---").1, [(2, Change::Up), (5, Change::Down)]);
}

#[test]
fn default_down_is_over_at_the_first_rise() {
    let (standing, changes) = run(Standing::first(true), RULES, "++");
    assert_eq!((changes, standing.down, standing.rise), (vec![(1, Change::Up)], false, 2));
    assert_eq!(run(Standing::first(true), RULES, "----").1, [], "it was down before");
}

#[test]
fn counts_go_on_and_do_not_wrap() {
    assert_eq!(run(Standing::first(false), RULES, "++++").0.rise, 4);
    let mut most = Standing { down: false, rise: u32::MAX, fall: 0 };
    assert_eq!((most.record(true, RULES), most.rise), (None, u32::MAX));
}

proptest::proptest! {
    /// Whatever comes: one count is 0, and the state turned at a run of the right length only.
    #[test]
    fn a_turn_follows_a_whole_run(first: bool, rise in 1u32..5, fall in 1u32..5, answers: Vec<bool>) {
        let mut standing = Standing::first(first);
        let rules = Rules { rise, fall };
        for (i, good) in answers.iter().enumerate() {
            let before = standing;
            let change = standing.record(*good, rules);
            let run = answers[..=i].iter().rev().take_while(|a| *a == good).count() as u32;
            proptest::prop_assert!(standing.rise == 0 || standing.fall == 0);
            proptest::prop_assert_eq!(if *good { standing.rise } else { standing.fall }, run);
            let due = if *good { before.down && run >= rise } else { !before.down && run >= fall };
            proptest::prop_assert_eq!(change.is_some(), due);
            proptest::prop_assert_eq!(standing.down != before.down, due);
        }
    }
}
