//! What ARCHITECTURE.md promises of the crates and no compiler holds: who may use whom, and who may name what is dangerous. It reads manifests and Cargo.lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Lowest first: a crate may use those before it. The root package, `assay`, may use them all.
const CRATES: [&str; 9] = [
    "packer-plugin",
    "assay-model",
    "assay-suite",
    "assay-signing",
    "assay-iam",
    "assay-config",
    "assay-aws",
    "assay-ledger",
    "assay-prober",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names under `[dependencies]` and the like of a manifest; those of tests and of build scripts are none of the product's.
fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
    let mut names = BTreeSet::new();
    let mut counts = false;
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            counts =
                section == "dependencies" || (section.starts_with("target.") && section.ends_with(".dependencies"));
        } else if counts && let Some((name, _)) = line.split_once(['.', ' ', '=']) {
            names.insert(name.trim().to_owned());
        }
    }
    names.remove("");
    names.remove("#");
    names
}

fn manifest_of(name: &str) -> PathBuf {
    root().join("crates").join(name).join("Cargo.toml")
}

#[test]
fn every_crate_uses_only_those_below_it() {
    let mut found: Vec<String> = fs::read_dir(root().join("crates"))
        .expect("the crates")
        .map(|entry| entry.expect("a folder").file_name().into_string().expect("text"))
        .collect();
    found.sort();
    let mut listed: Vec<String> = CRATES.map(str::to_owned).to_vec();
    listed.sort();
    assert_eq!(found, listed, "a crate is missing in the order of ARCHITECTURE.md, or in this test");
    for (index, name) in CRATES.iter().enumerate() {
        let used = dependencies(&manifest_of(name));
        assert!(!used.is_empty(), "{name}: no dependency was read");
        let upward: Vec<&&str> = CRATES.iter().skip(index).filter(|above| used.contains(**above)).collect();
        assert!(upward.is_empty(), "{name} uses {upward:?}, which are not below it");
        assert!(!used.contains("assay"), "{name} uses the program");
    }
}

#[test]
fn what_is_dangerous_is_named_by_one_crate() {
    let owners: [(&str, &[&str]); 5] = [
        ("assay-aws", &["aws-"]),
        ("assay-prober", &["ssh2", "libssh2-sys", "tonic", "landlock", "seccompiler"]),
        ("packer-plugin", &["yamux", "rmpv"]),
        ("assay-signing", &[]),
        ("assay-ledger", &[]),
    ];
    let mut manifests: BTreeMap<String, BTreeSet<String>> =
        CRATES.iter().map(|name| ((*name).to_owned(), dependencies(&manifest_of(name)))).collect();
    manifests.insert("assay".to_owned(), dependencies(&root().join("Cargo.toml")));
    for (owner, names) in owners {
        for name in names {
            let holders: Vec<&String> = manifests
                .iter()
                .filter(|(_, used)| {
                    used.iter().any(|each| each == name || (name.ends_with('-') && each.starts_with(name)))
                })
                .map(|(holder, _)| holder)
                .collect();
            assert_eq!(holders, [owner], "{name} belongs to {owner} alone");
        }
    }
}

#[test]
fn packers_protocol_stands_alone() {
    let used = dependencies(&manifest_of("packer-plugin"));
    let ours: Vec<&String> = used.iter().filter(|name| name.starts_with("assay")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

/// Each package of Cargo.lock with what it uses.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in text.split("[[package]]").skip(1) {
        let quoted = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
        let name = package.lines().find(|line| line.starts_with("name = ")).map(quoted).expect("a name");
        let used = package.lines().filter(|line| line.starts_with(" \"")).map(|line| {
            let whole = quoted(line);
            whole.split(' ').next().unwrap_or_default().to_owned()
        });
        packages.entry(name).or_default().extend(used);
    }
    packages
}

/// The process that reads what hosts say holds no code that could reach a cloud or a repository.
#[test]
fn the_prober_links_neither_the_aws_sdk_nor_git() {
    let packages = locked();
    let mut reached = BTreeSet::new();
    let mut next = vec!["assay-prober".to_owned()];
    while let Some(name) = next.pop() {
        if reached.insert(name.clone()) {
            next.extend(packages.get(&name).into_iter().flatten().cloned());
        }
    }
    assert!(reached.contains("ssh2") && reached.contains("assay-suite"), "{reached:?}");
    let wrong: Vec<&String> = reached
        .iter()
        .filter(|name| name.starts_with("aws-") || ["assay-aws", "assay-ledger", "assay-iam"].contains(&name.as_str()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
