//! Two runs of an image side by side, architecture by architecture. It owns which AMI or host is compared with which, which evidence speaks for it, and what is
//! said where one of the two does not; it refuses to read files and to render.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    BootFacts, Evidence, Inventory, RunId, TargetEvidence,
    compare::{ImageChanges, compare},
};

/// One of the two: a run with all evidence that there is of it, the one that counts first.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedRun {
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
    /// By architecture, sorted by name; hosts that are no AMIs under `host`. Several of one architecture where not all of its AMIs or hosts are alike.
    pub architectures: Vec<ArchitectureDiff>,
}

/// AMIs or hosts of one architecture that differ in the same way, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchitectureDiff {
    /// `x86_64`, `arm64`, or `host`.
    pub architecture: String,
    /// The AMIs or hosts before; empty: the old run has nothing to compare the new ones with.
    pub old: Vec<String>,
    /// The AMIs or hosts now; empty: the new run has nothing to compare the old ones with.
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
    pub changes: Option<ImageChanges>,
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

/// Compares `new` with `old`, where there is one.
pub fn diff(image: Option<&str>, old: Option<&ComparedRun>, new: &ComparedRun) -> ImageDiff {
    let names: BTreeSet<String> = old.into_iter().chain([new]).flat_map(architectures).collect();
    let one = |architecture: &String| {
        let before = old.map(|old| members(old, architecture)).unwrap_or_default();
        let now = members(new, architecture);
        let groups = alike(pairs(&before, &now));
        let told =
            |group: Vec<MemberPair<'_, '_>>| told(architecture, &group, old.map(|old| old.name.as_str()), &new.name);
        groups.into_iter().map(told).collect::<Vec<_>>()
    };
    ImageDiff {
        image: image.map(str::to_owned),
        old: old.map(head),
        new: head(new),
        architectures: names.iter().flat_map(one).collect(),
    }
}

fn head(side: &ComparedRun) -> SideHead {
    let tested_at = side.evidence.first().map(|evidence| evidence.finished_at.clone());
    SideHead { name: side.name.clone(), run: side.run, tested_at }
}

fn architectures(side: &ComparedRun) -> Vec<String> {
    let tested = side.evidence.iter().flat_map(|it| &it.targets).map(architecture_of);
    tested.chain(side.amis.keys().cloned()).collect()
}

fn architecture_of(target: &TargetEvidence) -> String {
    target.ami.as_ref().map_or_else(|| HOST.to_owned(), |ami| ami.architecture.to_string())
}

/// What stands in an architecture's place for hosts that are no AMIs.
const HOST: &str = "host";

/// One AMI or host of a side.
struct SideMember<'a> {
    name: String,
    /// What it is found again by on the other side: an AMI's region, a host's name.
    key: String,
    boot: Option<BootFacts>,
    /// Its inventory, or why there is none.
    found: Result<&'a Inventory, String>,
}

/// The AMIs or hosts of a side that are of this architecture, by their names.
fn members<'a>(side: &'a ComparedRun, architecture: &str) -> Vec<SideMember<'a>> {
    let tested: Vec<(String, &Evidence, &TargetEvidence)> = side
        .evidence
        .iter()
        .flat_map(|evidence| evidence.targets.iter().map(move |target| (evidence, target)))
        .filter(|(_, target)| architecture_of(target) == architecture)
        .map(|(evidence, target)| {
            let name = target.ami.as_ref().map_or_else(|| target.target.clone(), |ami| ami.ami.to_string());
            (name, evidence, target)
        })
        .collect();
    let recorded = side.amis.get(architecture).into_iter().flatten();
    let names: BTreeSet<&String> = tested.iter().map(|(name, ..)| name).chain(recorded).collect();
    names
        .into_iter()
        .map(|name| {
            let of_it = tested.iter().filter(|(of, ..)| of == name).map(|(_, evidence, target)| (*evidence, *target));
            let (found, boot) = spoken(side, of_it);
            let region = name.split_once(':').map_or(name.as_str(), |(region, _)| region);
            let key = if architecture == HOST { name.clone() } else { region.to_owned() };
            SideMember { name: name.clone(), key, boot, found }
        })
        .collect()
}

/// The first evidence that has an inventory of an AMI or host speaks for it.
fn spoken<'a>(
    side: &'a ComparedRun,
    of_it: impl Iterator<Item = (&'a Evidence, &'a TargetEvidence)>,
) -> (Result<&'a Inventory, String>, Option<BootFacts>) {
    let (mut missing, mut tested) = (None, false);
    for (evidence, target) in of_it {
        tested = true;
        if let Some(inventory) = target.inventory.as_ref().and_then(|digest| evidence.inventories.get(digest)) {
            return (Ok(inventory), target.boot);
        }
        missing = missing.or(target.inventory_missing.as_ref());
    }
    let why = match (missing, side.problems.is_empty(), tested) {
        (Some(why), ..) => format!("its inventory is missing: {why}"),
        (None, false, _) => side.problems.join("; "),
        (None, true, false) => "there is no evidence of it".to_owned(),
        (None, true, true) => {
            "its evidence holds no inventory; it was made by an older version, or nobody asked for one".to_owned()
        }
    };
    (Err(why), None)
}

/// What is compared: old and new, at least one of them.
type MemberPair<'o, 'n> = (Option<&'o SideMember<'o>>, Option<&'n SideMember<'n>>);

/// Every AMI or host of both sides with what it is compared with: its like of the other side by host or by region. Where a region is on one side only, any AMI of
/// the other side will do as long as all of them are alike.
fn pairs<'o, 'n>(old: &'o [SideMember<'o>], new: &'n [SideMember<'n>]) -> Vec<MemberPair<'o, 'n>> {
    let keys: BTreeSet<&String> = old.iter().map(|it| &it.key).chain(new.iter().map(|it| &it.key)).collect();
    let mut pairs = Vec::new();
    for key in keys {
        let mut before: Vec<&SideMember<'_>> = old.iter().filter(|member| member.key == *key).collect();
        let mut now: Vec<&SideMember<'_>> = new.iter().filter(|member| member.key == *key).collect();
        match (before.first().copied(), now.first().copied()) {
            (None, _) => pairs.extend(now.into_iter().map(|it| (stand_in(old, it), Some(it)))),
            (_, None) => pairs.extend(before.into_iter().map(|it| (Some(it), stand_in(new, it)))),
            (Some(first_before), Some(first_now)) => {
                // Several AMIs of one region: those that are alike belong together, the others in the order of their names.
                before.retain(|old| match now.iter().position(|new| old.found.is_ok() && old.found == new.found) {
                    Some(at) => {
                        pairs.push((Some(*old), Some(now.remove(at))));
                        false
                    }
                    None => true,
                });
                for at in 0..before.len().max(now.len()) {
                    let old = before.get(at).copied().unwrap_or(first_before);
                    pairs.push((Some(old), Some(now.get(at).copied().unwrap_or(first_now))));
                }
            }
        }
    }
    pairs
}

/// What an AMI without its like is compared with.
fn stand_in<'a>(others: &'a [SideMember<'a>], member: &SideMember<'_>) -> Option<&'a SideMember<'a>> {
    let first = others.first()?;
    (member.key != member.name && others.iter().all(|other| other.found == first.found)).then_some(first)
}

/// Pairs with the same findings on both sides, together.
fn alike<'o, 'n>(pairs: Vec<MemberPair<'o, 'n>>) -> Vec<Vec<MemberPair<'o, 'n>>> {
    let mut groups: Vec<Vec<MemberPair<'o, 'n>>> = Vec::new();
    for pair in pairs {
        let found = |pair: &MemberPair<'o, 'n>| (pair.0.map(|it| it.found.clone()), pair.1.map(|it| it.found.clone()));
        match groups.iter_mut().find(|group| found(&group[0]) == found(&pair)) {
            Some(group) => group.push(pair),
            None => groups.push(vec![pair]),
        }
    }
    groups
}

/// What is said of a group, whose first pair speaks for all of it.
fn told(architecture: &str, group: &[MemberPair<'_, '_>], old_name: Option<&str>, new_name: &str) -> ArchitectureDiff {
    let names = |side: &dyn Fn(&MemberPair<'_, '_>) -> Option<String>| -> Vec<String> {
        group.iter().filter_map(side).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let (before, now) = group[0];
    let packages = |it: Option<&SideMember<'_>>| Some(it?.found.as_ref().ok()?.packages.len());
    let (changes, note) = compared(old_name, new_name, before, now);
    ArchitectureDiff {
        architecture: architecture.to_owned(),
        old: names(&|pair| Some(pair.0?.name.clone())),
        new: names(&|pair| Some(pair.1?.name.clone())),
        old_boot: before.and_then(|it| it.boot),
        new_boot: now.and_then(|it| it.boot),
        old_packages: packages(before),
        new_packages: packages(now),
        changes,
        note,
    }
}

fn compared(
    old_name: Option<&str>,
    new_name: &str,
    old: Option<&SideMember<'_>>,
    new: Option<&SideMember<'_>>,
) -> (Option<ImageChanges>, Option<String>) {
    let Some(old_name) = old_name else {
        let why = new.and_then(|new| new.found.as_ref().err()).map(|why| format!("{new_name}: {why}"));
        return (None, why);
    };
    let alone = |member: &SideMember<'_>, has: &str, lacks: &str| {
        let what = if member.key == member.name {
            "this host".to_owned()
        } else {
            format!("this architecture in {}", member.key)
        };
        let why = member.found.as_ref().err().map(|why| format!("; {has}: {why}")).unwrap_or_default();
        (None, Some(format!("only {has} has {what}, {lacks} does not{why}")))
    };
    match (old, new) {
        (Some(old), Some(new)) => match (&old.found, &new.found) {
            (Ok(before), Ok(now)) => (Some(compare(before, now, (old_name, new_name))), None),
            (old, new) => {
                let sides = [(old_name, old.as_ref().err()), (new_name, new.as_ref().err())];
                let why = sides.iter().filter_map(|(name, why)| Some(format!("{name}: {}", (*why)?)));
                (None, Some(format!("cannot be compared: {}", why.collect::<Vec<_>>().join("; "))))
            }
        },
        (Some(old), None) => alone(old, old_name, new_name),
        (None, Some(new)) => alone(new, new_name, old_name),
        (None, None) => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, inventory::InstalledPackage, sample};

    const RUN: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C";

    /// Evidence of one AMI with one package of this version.
    fn evidence(ami: &str, version: &str) -> Evidence {
        let mut evidence = sample::passed();
        let package =
            |name: &str| InstalledPackage { name: name.into(), architecture: "amd64".into(), version: version.into() };
        let inventory = Inventory { packages: vec![package("motd")], ..Inventory::default() };
        let target = &mut evidence.targets[0];
        target.target = format!("us-east-1:{ami}");
        target.ami.as_mut().expect("a record").ami = target.target.parse().expect("an AMI");
        target.inventory = Some(inventory.digest());
        evidence.inventories = [(inventory.digest(), inventory)].into();
        evidence
    }

    fn side(name: &str, evidence: Vec<Evidence>) -> ComparedRun {
        let run = RUN.parse().expect("a run");
        ComparedRun { name: name.into(), run, evidence, amis: BTreeMap::new(), problems: Vec::new() }
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
        assert_eq!(
            found.architectures[0].note.as_deref(),
            Some("only candidate has this architecture in us-east-1, gold does not")
        );
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

    /// Evidence of hosts `a` and `b` with these versions of a package.
    fn hosts(versions: [Option<&str>; 2]) -> Evidence {
        let mut all = evidence("ami-00000001", "1.0");
        let target = all.targets[0].clone();
        (all.targets, all.inventories) = (Vec::new(), BTreeMap::new());
        for (name, version) in ["root@a:22", "root@b:22"].into_iter().zip(versions) {
            let mut one = TargetEvidence { target: name.into(), ami: None, inventory: None, ..target.clone() };
            match version {
                Some(version) => {
                    let of_it = evidence("ami-00000001", version);
                    one.inventory.clone_from(&of_it.targets[0].inventory);
                    all.inventories.extend(of_it.inventories);
                }
                None => one.inventory_missing = Some("the connection was lost".into()),
            }
            all.targets.push(one);
        }
        all
    }

    #[test]
    fn every_host_is_compared_with_itself() {
        let of = |old, new| diff(None, Some(&side("old", vec![hosts(old)])), &side("new", vec![hosts(new)]));
        let same = of([Some("1.0"); 2], [Some("1.0"); 2]);
        assert!(!same.differs() && same.is_whole());
        assert_eq!(same.architectures[0].new, ["root@a:22", "root@b:22"], "alike, and so told once");

        let second = of([Some("1.0"); 2], [Some("1.0"), Some("1.1")]);
        assert!(second.differs() && second.is_whole());
        let changed: Vec<&ArchitectureDiff> =
            second.architectures.iter().filter(|it| it.changes.as_ref().is_some_and(|it| !it.is_empty())).collect();
        assert_eq!(
            (changed.len(), &changed[0].old, &changed[0].new),
            (1, &vec!["root@b:22".to_owned()], &vec!["root@b:22".to_owned()])
        );

        // The first one's inventory is missing: the second one's is not put in its place.
        let missing = of([Some("1.0"), Some("2.0")], [None, Some("2.0")]);
        assert!(!missing.differs() && !missing.is_whole());
        assert!(
            missing
                .architectures
                .iter()
                .any(|it| it.note.as_deref().is_some_and(|it| it.contains("connection was lost")))
        );

        let (mut fewer, both) = (hosts([Some("1.0"); 2]), hosts([Some("1.0"); 2]));
        fewer.targets.pop();
        let found = diff(None, Some(&side("old", vec![fewer])), &side("new", vec![both]));
        let note = found.architectures.iter().find_map(|it| it.note.as_deref()).expect("a note");
        assert!(found.differs() && note == "only new has this host, old does not", "{note}");
    }

    #[test]
    fn every_ami_of_an_architecture_is_compared() {
        let in_europe = |ami: &str, version: &str| {
            let mut evidence = evidence(ami, version);
            let target = &mut evidence.targets[0];
            target.target = format!("eu-west-1:{ami}");
            target.ami.as_mut().expect("a record").ami = target.target.parse().expect("an AMI");
            evidence
        };
        let old = side("gold", vec![in_europe("ami-00000001", "1.0"), evidence("ami-00000002", "1.0")]);
        let new = side("candidate", vec![in_europe("ami-00000003", "1.0"), evidence("ami-00000004", "1.1")]);
        let found = diff(None, Some(&old), &new);
        assert!(found.differs() && found.is_whole() && found.architectures.len() == 2);
        assert_eq!(found.architectures[1].new, ["us-east-1:ami-00000004"]);

        // A region that is new: the AMIs of gold are all alike.
        let alone = side("gold", vec![evidence("ami-00000002", "1.0")]);
        let found = diff(None, Some(&alone), &new);
        assert!(found.differs() && found.is_whole() && found.architectures.iter().all(|it| it.changes.is_some()));
        // Two of one region.
        let two = side("candidate", vec![evidence("ami-00000005", "2.0"), evidence("ami-00000006", "1.0")]);
        let found = diff(None, Some(&alone), &two);
        assert!(found.differs() && found.is_whole() && found.architectures.len() == 2);
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
        let none = ComparedRun {
            amis: [("x86_64".to_owned(), vec!["us-east-1:ami-00000001".to_owned()])].into(),
            ..side("gold", Vec::new())
        };
        let found = diff(None, Some(&none), &two);
        assert!(found.architectures[0].note.as_deref().is_some_and(|note| note.contains("there is no evidence of it")));
    }
}
