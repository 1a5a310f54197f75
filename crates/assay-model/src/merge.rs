//! Several runs' evidence into one. It owns when that is allowed: the same suites, the same source, no target twice with different
//! findings, and no share missing; it never makes a verdict better than its parts.

use std::collections::BTreeMap;

use super::{Evidence, Verdict};

/// Why evidence cannot be put together. Each names the parts by the names that were given with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("no evidence was given")]
    Empty,
    /// Two parts are about different things.
    #[error("{first} and {second} differ in {what}; only runs of the same suites on the same source can be merged")]
    Differ {
        /// One part.
        first: String,
        /// The other.
        second: String,
        /// What they differ in.
        what: String,
    },
    /// A target was tested twice, and not with the same findings.
    #[error("{target} is in {first} and in {second}, with different findings; merge one of the two")]
    Twice {
        /// The target.
        target: String,
        /// One part.
        first: String,
        /// The other.
        second: String,
    },
    /// A share of the work is not there.
    #[error("nothing was found out about {}: a share is missing ({})", missing.join(", "), shares.join(", "))]
    Missing {
        /// What was planned and is in no part.
        missing: Vec<String>,
        /// The shares that are there.
        shares: Vec<String>,
    },
}

/// Merges `parts`, each with the name to call it by. Fails with the first reason why not; see [`MergeError`].
pub fn merge(parts: Vec<(String, Evidence)>) -> Result<Evidence, MergeError> {
    alike(&parts)?;
    complete(&parts)?;
    let mut targets = BTreeMap::new();
    for (name, part) in &parts {
        for target in &part.targets {
            match targets.get(&target.target) {
                None => drop(targets.insert(target.target.clone(), (name, target.clone()))),
                Some((_, known)) if known == target => {}
                Some((first, _)) => {
                    let (first, second) = ((*first).clone(), name.clone());
                    return Err(MergeError::Twice { target: target.target.clone(), first, second });
                }
            }
        }
    }
    let targets: Vec<_> = targets.into_values().map(|(_, target)| target).collect();
    let mut parts = parts.into_iter().map(|(_, part)| part);
    let mut merged = parts.next().ok_or(MergeError::Empty)?;
    merged.runs = if merged.runs.is_empty() { vec![merged.run] } else { merged.runs };
    for part in parts {
        merged.workflow = merged.workflow.filter(|workflow| part.workflow.as_ref() == Some(workflow));
        merged.started_at = merged.started_at.min(part.started_at);
        merged.finished_at = merged.finished_at.max(part.finished_at);
        add_new(&mut merged.runs, if part.runs.is_empty() { vec![part.run] } else { part.runs });
        add_new(&mut merged.suites, part.suites);
        add_new(&mut merged.confinement, part.confinement);
        add_new(&mut merged.leftovers, part.leftovers);
        merged.inventories.extend(part.inventories);
    }
    merged.shard = None;
    merged.verdict = Verdict::over(targets.iter().map(|t| t.verdict));
    merged.targets = targets;
    Ok(merged)
}

fn add_new<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}

/// Whether all are about the same image, source and suites.
fn alike(parts: &[(String, Evidence)]) -> Result<(), MergeError> {
    let ((first, one), rest) = parts.split_first().ok_or(MergeError::Empty)?;
    for (second, other) in rest {
        let differ = |what: String| MergeError::Differ { first: first.clone(), second: second.clone(), what };
        if one.schema != other.schema {
            return Err(differ("the version of their JSON shape".into()));
        }
        if one.assay_version != other.assay_version {
            return Err(differ("the version of assay that tested".into()));
        }
        if one.image != other.image {
            return Err(differ("the image".into()));
        }
        if one.provenance.source_digest != other.provenance.source_digest {
            return Err(differ("the source digest".into()));
        }
        if one.provenance.commit != other.provenance.commit {
            return Err(differ("the commit".into()));
        }
        let named = |suite: &&super::evidence::SuiteRef| {
            one.suites.iter().any(|s| s.name == suite.name && s.path == suite.path && s.digest != suite.digest)
        };
        if let Some(suite) = other.suites.iter().find(named) {
            return Err(differ(format!("suite {:?} ({})", suite.name, suite.path)));
        }
        // The same suites, but not the same number of them: the shorter part would pass for all of it.
        let lacks =
            |a: &Evidence, b: &Evidence| a.suites.iter().find(|s| !b.suites.contains(s)).map(|s| s.name.clone());
        if let Some(name) = lacks(one, other).or_else(|| lacks(other, one)) {
            return Err(differ(format!("their suites: only one of them ran {name:?}")));
        }
        let planned = |evidence: &Evidence| evidence.shard.as_ref().map(|s| s.planned.clone());
        if let (Some(a), Some(b)) = (planned(one), planned(other))
            && a != b
        {
            return Err(differ("what was divided into shares".into()));
        }
    }
    Ok(())
}

/// Whether everything that was divided is there.
fn complete(parts: &[(String, Evidence)]) -> Result<(), MergeError> {
    let covered: Vec<String> = parts.iter().flat_map(|(_, part)| &part.targets).map(|t| t.divided_as()).collect();
    let shards: Vec<_> = parts.iter().filter_map(|(_, part)| part.shard.as_ref()).collect();
    let missing: Vec<String> =
        shards.iter().flat_map(|s| &s.planned).filter(|planned| !covered.contains(planned)).cloned().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut unique = Vec::new();
    add_new(&mut unique, missing);
    Err(MergeError::Missing { missing: unique, shares: shards.iter().map(|s| s.shard.to_string()).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RunId, Shard, sample, shard::ShardRecord};

    /// The sample's evidence with only these targets.
    fn part(targets: &[usize]) -> Evidence {
        let mut evidence = sample::evidence();
        (evidence.runs, evidence.shard) = (Vec::new(), None);
        let all = std::mem::take(&mut evidence.targets);
        evidence.targets = targets.iter().map(|at| all[*at].clone()).collect();
        evidence.verdict = Verdict::over(evidence.targets.iter().map(|t| t.verdict));
        evidence.run = RunId::generate();
        evidence
    }

    fn named(parts: Vec<Evidence>) -> Vec<(String, Evidence)> {
        parts.into_iter().enumerate().map(|(at, part)| (format!("{at}.json"), part)).collect()
    }

    #[test]
    fn shares_come_back_together() {
        let whole = sample::evidence();
        let (a, b) = (part(&[1]), part(&[0]));
        let runs = vec![a.run, b.run];
        let merged = merge(named(vec![a, b])).expect("merged");
        assert_eq!(merged.targets, whole.targets);
        assert_eq!(merged.verdict, whole.verdict);
        assert_eq!(merged.runs, runs);
        assert_eq!(merged.suites, whole.suites);
    }

    #[test]
    fn a_missing_share_is_named() {
        let mut only = part(&[0]);
        let planned: Vec<String> = sample::evidence().targets.iter().map(|t| t.divided_as()).collect();
        only.shard = Some(ShardRecord { shard: Shard { index: 1, total: 2 }, planned: planned.clone() });
        let error = merge(named(vec![only.clone()])).expect_err("one is missing");
        assert!(error.to_string().contains(&planned[1]), "{error}");
        assert!(error.to_string().contains("1/2"), "{error}");
        let mut other = part(&[1]);
        other.shard = Some(ShardRecord { shard: Shard { index: 2, total: 2 }, planned });
        assert!(merge(named(vec![only, other])).is_ok());
    }

    #[test]
    fn what_is_not_alike_is_not_merged() {
        let mut changed = part(&[1]);
        changed.suites[0].digest = super::super::Digest::of(b"another file");
        assert!(matches!(merge(named(vec![part(&[0]), changed])), Err(MergeError::Differ { .. })));
        let mut other = part(&[0]);
        other.targets[0].verdict = Verdict::Passed;
        assert!(matches!(merge(named(vec![part(&[0]), other])), Err(MergeError::Twice { .. })));
        assert!(merge(named(vec![part(&[0]), part(&[0])])).is_ok(), "the same findings twice are one");
        let mut older = part(&[1]);
        older.assay_version = "0.0.1".into();
        assert!(matches!(merge(named(vec![part(&[0]), older])), Err(MergeError::Differ { .. })));
        assert_eq!(merge(Vec::new()), Err(MergeError::Empty));
    }
}
