//! Two runs of an image side by side, architecture by architecture. It owns which evidence speaks for an architecture and what is said where one of the two
//! does not; it refuses to read files and to render.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    BootFacts, Evidence, Inventory, RunId, TargetEvidence,
    compare::{Changes, compare},
};

/// One of the two: a run with all evidence that there is of it, the one that counts first.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// What it is called: `gold`, `candidate`, a file's name.
    pub name: String,
    /// The run.
    pub run: RunId,
    /// The evidence.
    pub evidence: Vec<Evidence>,
    /// The AMIs of each architecture beyond those that the evidence names.
    pub amis: BTreeMap<String, Vec<String>>,
    /// Evidence that should be there and is not, in words.
    pub problems: Vec<String>,
}

/// What is said of one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SideHead {
    /// What it is called.
    pub name: String,
    /// The run.
    pub run: RunId,
    /// When it was tested, RFC 3339 UTC; absent where there is no evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tested_at: Option<String>,
}

/// The whole comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageDiff {
    /// The image; absent where the evidence names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What it is compared with; absent: there is nothing yet, and everything is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<SideHead>,
    /// What is compared.
    pub new: SideHead,
    /// By architecture, sorted by name; hosts that are no AMIs under `host`.
    pub architectures: Vec<ArchitectureDiff>,
}

/// One architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchitectureDiff {
    /// `x86_64`, `arm64`, or `host`.
    pub architecture: String,
    /// Its AMIs or hosts before; empty: the old run has none of it.
    pub old: Vec<String>,
    /// Its AMIs or hosts now; empty: the new run has none of it.
    pub new: Vec<String>,
    /// The old boot, and how full the disk was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_boot: Option<BootFacts>,
    /// The new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_boot: Option<BootFacts>,
    /// How many packages there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_packages: Option<usize>,
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_packages: Option<usize>,
    /// What differs; absent where it cannot be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Why it cannot be said, or what there is to know besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl ImageDiff {
    /// Whether something differs, as far as it could be compared. What has nothing to be compared with is new, and differs.
    pub fn differs(&self) -> bool {
        let differs = |one: &ArchitectureDiff| {
            one.old.is_empty() != one.new.is_empty() || one.changes.as_ref().is_some_and(|it| !it.is_empty())
        };
        self.old.is_none() || self.architectures.iter().any(differs)
    }

    /// Whether everything that both have could be compared.
    pub fn is_whole(&self) -> bool {
        let both = |one: &&ArchitectureDiff| !one.old.is_empty() && !one.new.is_empty();
        self.architectures
            .iter()
            .filter(both)
            .all(|one| one.changes.as_ref().is_some_and(|changes| changes.incomparable.is_empty()))
    }
}

/// What of a side speaks for one architecture.
struct Spoken<'a> {
    amis: Vec<String>,
    found: Result<(&'a Inventory, Option<BootFacts>), String>,
}

/// Compares `new` with `old`, where there is one.
pub fn diff(image: Option<&str>, old: Option<&Side>, new: &Side) -> ImageDiff {
    let names: BTreeSet<String> = old.into_iter().chain([new]).flat_map(architectures).collect();
    let one = |architecture: String| {
        let (before, now) = (old.map(|old| spoken(old, &architecture)), spoken(new, &architecture));
        let boot = |it: &Spoken<'_>| it.found.as_ref().ok().and_then(|(_, boot)| *boot);
        let packages = |it: &Spoken<'_>| it.found.as_ref().ok().map(|(inventory, _)| inventory.packages.len());
        let (changes, note) = compared(old.map(|it| it.name.as_str()), &new.name, before.as_ref(), &now);
        ArchitectureDiff {
            architecture,
            old_boot: before.as_ref().and_then(boot),
            new_boot: boot(&now),
            old_packages: before.as_ref().and_then(packages),
            new_packages: packages(&now),
            old: before.map(|it| it.amis).unwrap_or_default(),
            new: now.amis,
            changes,
            note,
        }
    };
    ImageDiff {
        image: image.map(str::to_owned),
        old: old.map(head),
        new: head(new),
        architectures: names.into_iter().map(one).collect(),
    }
}

fn head(side: &Side) -> SideHead {
    let tested_at = side.evidence.first().map(|evidence| evidence.finished_at.clone());
    SideHead { name: side.name.clone(), run: side.run, tested_at }
}

fn compared(
    old_name: Option<&str>,
    new_name: &str,
    old: Option<&Spoken<'_>>,
    new: &Spoken<'_>,
) -> (Option<Changes>, Option<String>) {
    let (Some(old_name), Some(old)) = (old_name, old) else {
        let why = new.found.as_ref().err().map(|why| format!("{new_name}: {why}"));
        return (None, why);
    };
    if old.amis.is_empty() || new.amis.is_empty() {
        let (lacks, has) = if old.amis.is_empty() { (old_name, new_name) } else { (new_name, old_name) };
        return (None, Some(format!("only {has} has this architecture, {lacks} does not")));
    }
    match (&old.found, &new.found) {
        (Ok((before, _)), Ok((now, _))) => (Some(compare(before, now, (old_name, new_name))), None),
        (old, new) => {
            let sides = [(old_name, old.as_ref().err()), (new_name, new.as_ref().err())];
            let why = sides.iter().filter_map(|(name, why)| Some(format!("{name}: {}", (*why)?)));
            (None, Some(format!("cannot be compared: {}", why.collect::<Vec<_>>().join("; "))))
        }
    }
}

fn architectures(side: &Side) -> Vec<String> {
    let tested = side.evidence.iter().flat_map(|it| &it.targets).map(architecture_of);
    tested.chain(side.amis.keys().cloned()).collect()
}

fn architecture_of(target: &TargetEvidence) -> String {
    target.ami.as_ref().map_or_else(|| "host".to_owned(), |ami| ami.architecture.to_string())
}

/// The first evidence that has an inventory of this architecture speaks for it.
fn spoken<'a>(side: &'a Side, architecture: &str) -> Spoken<'a> {
    let mut amis: BTreeSet<String> = side.amis.get(architecture).into_iter().flatten().cloned().collect();
    let mut found = None;
    let mut missing = None;
    for evidence in &side.evidence {
        for target in evidence.targets.iter().filter(|target| architecture_of(target) == architecture) {
            amis.insert(target.ami.as_ref().map_or_else(|| target.target.clone(), |ami| ami.ami.to_string()));
            let inventory = target.inventory.as_ref().and_then(|digest| evidence.inventories.get(digest));
            if let (None, Some(inventory)) = (&found, inventory) {
                found = Some((inventory, target.boot));
            }
            missing = missing.or(target.inventory_missing.as_ref());
        }
    }
    let why = || match (missing, side.problems.is_empty(), side.evidence.is_empty()) {
        (Some(why), ..) => format!("its inventory is missing: {why}"),
        (None, false, _) => side.problems.join("; "),
        (None, true, true) => "there is no evidence of it".to_owned(),
        (None, true, false) => {
            "its evidence holds no inventory; it was made by an older version, or nobody asked for one".to_owned()
        }
    };
    Spoken { amis: amis.into_iter().collect(), found: found.ok_or_else(why) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Digest, inventory::Package},
        report::sample,
    };

    const RUN: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C";

    /// Evidence of one AMI with one package of this version.
    fn evidence(ami: &str, version: &str) -> Evidence {
        let mut evidence = sample::passed();
        let package = |name: &str| Package { name: name.into(), architecture: "amd64".into(), version: version.into() };
        let inventory = Inventory { packages: vec![package("motd")], ..Inventory::default() };
        let target = &mut evidence.targets[0];
        target.target = format!("us-east-1:{ami}");
        target.ami.as_mut().expect("a record").ami = target.target.parse().expect("an AMI");
        target.inventory = Some(inventory.digest());
        evidence.inventories = [(inventory.digest(), inventory)].into();
        evidence
    }

    fn side(name: &str, evidence: Vec<Evidence>) -> Side {
        let run = RUN.parse().expect("a run");
        Side { name: name.into(), run, evidence, amis: BTreeMap::new(), problems: Vec::new() }
    }

    #[test]
    fn what_changed_is_said_by_architecture() {
        let old = side("gold", vec![evidence("ami-00000001", "1.0")]);
        let mut arm = evidence("ami-00000003", "1.0");
        arm.targets[0].ami.as_mut().expect("a record").architecture = "arm64".parse().expect("one");
        let new = side("candidate", vec![evidence("ami-00000002", "1.1"), arm]);
        let found = diff(Some("base"), Some(&old), &new);
        let names: Vec<&str> = found.architectures.iter().map(|it| it.architecture.as_str()).collect();
        assert_eq!(names, ["arm64", "x86_64"]);
        assert_eq!(found.architectures[0].note.as_deref(), Some("only candidate has this architecture, gold does not"));
        let x86 = &found.architectures[1];
        assert_eq!(
            (x86.old.as_slice(), x86.new.as_slice()),
            (&["us-east-1:ami-00000001".to_owned()][..], &["us-east-1:ami-00000002".to_owned()][..])
        );
        let packages = &x86.changes.as_ref().expect("compared").packages;
        assert_eq!((packages[0].old.as_deref(), packages[0].new.as_deref()), (Some("1.0"), Some("1.1")));
        assert!(found.differs() && found.is_whole());
        let same = diff(None, Some(&old), &old);
        assert!(!same.differs() && same.is_whole());
    }

    #[test]
    fn without_gold_everything_is_new() {
        let found = diff(Some("base"), None, &side("candidate", vec![evidence("ami-00000002", "1.1")]));
        assert!(found.differs() && found.is_whole() && found.old.is_none());
        assert_eq!(found.architectures[0].new_packages, Some(1));
    }

    #[test]
    fn the_first_evidence_with_an_inventory_speaks() {
        let mut bare = evidence("ami-00000001", "1.0");
        bare.inventories.clear();
        bare.targets[0].inventory = None;
        let two = side("gold", vec![bare.clone(), evidence("ami-00000001", "1.0")]);
        assert!(!diff(None, Some(&two), &side("new", vec![evidence("ami-00000001", "1.0")])).differs());

        let mut lost = bare.clone();
        lost.targets[0].inventory_missing = Some("the connection was lost".into());
        let found = diff(None, Some(&side("gold", vec![bare.clone()])), &side("candidate", vec![lost]));
        let note = found.architectures[0].note.clone().expect("a note");
        assert!(
            note.contains("gold: its evidence holds no inventory")
                && note.contains("candidate: its inventory is missing: the connection was lost"),
            "{note}"
        );
        assert!(!found.differs() && !found.is_whole());

        bare.targets[0].inventory = Some(Digest::of(b"elsewhere"));
        let found = diff(None, Some(&side("gold", vec![bare])), &two);
        assert!(found.architectures[0].changes.is_none(), "a digest without its inventory is none");
        let none = Side {
            amis: [("x86_64".to_owned(), vec!["us-east-1:ami-00000001".to_owned()])].into(),
            ..side("gold", Vec::new())
        };
        let found = diff(None, Some(&none), &two);
        assert!(found.architectures[0].note.as_deref().is_some_and(|note| note.contains("there is no evidence of it")));
    }
}
