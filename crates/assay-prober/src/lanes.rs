//! Which checks share a script, and how many scripts run side by side. It owns the estimate of what a check costs; it
//! refuses to know channels.
//!
//! A check that only reads files and tables of the host takes a few milliseconds, so all of those stay in one script. A
//! command may take as long as it likes, and so may whatever asks the network: those are dealt out over further lanes.
//! A lane is not free: it begins one round trip after the one before it (see `session_lanes`) and starts a shell on the
//! host. So each check goes to the lane that would be done with it first, and a suite of a few quick commands stays in
//! fewer lanes the farther away its host is.

use std::time::Duration;

use super::questions;
use assay_suite::{Check, ResourceKind};

/// What a check that reads the host's files takes.
const QUICK: Duration = Duration::from_millis(3);
/// What one that may be slow is taken to cost. Most take a few milliseconds, some take seconds: an error towards either
/// side costs less than a round trip for each lane.
const SLOW: Duration = Duration::from_millis(100);

/// Whether a check of this kind may take long.
fn is_slow(resource: ResourceKind) -> bool {
    questions::of(resource).is_some_and(|kind| kind.slow)
}

/// The scripts that ask `checks`, as indexes into it: the first holds everything quick, at most `lanes` there are, and
/// none is empty unless there are no checks at all. `round_trip` is how much later each lane begins.
pub(super) fn deal(checks: &[&Check], round_trip: Duration, lanes: usize) -> Vec<Vec<usize>> {
    let (slow, quick): (Vec<usize>, Vec<usize>) = (0..checks.len()).partition(|index| is_slow(checks[*index].resource));
    if slow.len() < 2 || lanes < 2 {
        return vec![(0..checks.len()).collect()];
    }
    let mut dealt = vec![(QUICK * u32::try_from(quick.len()).unwrap_or(u32::MAX), quick)];
    for check in slow {
        let begins = round_trip * u32::try_from(dealt.len()).unwrap_or(u32::MAX);
        let soonest = dealt.iter().map(|(done, _)| *done).enumerate().min_by_key(|(_, done)| *done);
        match soonest {
            Some((at, done)) if done <= begins || dealt.len() >= lanes => {
                dealt[at].0 += SLOW;
                dealt[at].1.push(check);
            }
            _ => dealt.push((begins + SLOW, vec![check])),
        }
    }
    dealt.into_iter().map(|(_, checks)| checks).filter(|checks| !checks.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `deal` for as many checks of each kind, all quick ones first.
    fn dealt(quick: usize, slow: usize, round_trip: u64, lanes: usize) -> Vec<usize> {
        let text = (0..quick)
            .map(|n| format!("file \"/{n}\" {{ exists = true }}\n"))
            .chain((0..slow).map(|n| format!("command \"true {n}\" {{ exit-status = 0 }}\n")))
            .collect::<String>();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.hcl");
        std::fs::write(&path, format!("suite \"x\" {{\n{text}}}\n")).expect("written");
        let suites = assay_suite::load(&[path], std::path::Path::new("/")).expect("a suite");
        let checks: Vec<&Check> = suites[0].checks.iter().collect();
        let lanes = deal(&checks, Duration::from_millis(round_trip), lanes);
        let mut all: Vec<usize> = lanes.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..quick + slow).collect::<Vec<_>>(), "each check once");
        if slow >= 2 {
            assert!((0..quick).all(|n| lanes[0].contains(&n)), "all quick ones in the first");
        }
        assert!(lanes.iter().all(|lane| !lane.is_empty()), "{lanes:?}");
        lanes.iter().map(Vec::len).collect()
    }

    #[test]
    fn one_lane_until_there_is_something_to_run_beside() {
        assert_eq!(deal(&[], Duration::ZERO, 5), [Vec::<usize>::new()]);
        assert_eq!(dealt(70, 0, 1, 5), [70]);
        assert_eq!(dealt(70, 1, 1, 5), [71]);
        assert_eq!(dealt(2, 9, 1, 1), [11], "the server allows no more");
    }

    #[test]
    fn near_hosts_get_a_lane_for_each_slow_check() {
        assert_eq!(dealt(0, 4, 1, 5), [1, 1, 1, 1]);
        assert_eq!(dealt(0, 2, 1, 5), [1, 1]);
        let many = dealt(70, 30, 1, 5);
        assert_eq!(many.len(), 5);
        assert!(many[1..].iter().all(|slow| (6..=8).contains(slow)), "{many:?}");
    }

    #[test]
    fn far_hosts_get_fewer() {
        assert!(dealt(0, 4, 150, 5).len() < 4);
        assert_eq!(dealt(100, 30, 50, 5).len(), 5);
    }
}
