//! What is downloaded, by us and by whoever copies our templates: each is pinned by its digest, and nothing is fetched under a name that nobody here owns.

use std::{fs, process::Command};

use crate::support::tools::root;

/// The tracked files whose path a rule holds for, with their texts.
fn tracked(rule: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("UTF-8");
    let found = names.split('\0').filter(|name| !name.is_empty() && rule(name));
    let found: Vec<_> =
        found.filter_map(|name| Some((name.to_owned(), fs::read_to_string(root().join(name)).ok()?))).collect();
    assert!(!found.is_empty(), "the rule holds for no file");
    found
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// No release of assay is published: whatever `packer init` downloads under our name is somebody else's, and runs with the builder's credentials.
#[test]
fn no_template_page_or_message_has_packer_download_assay() {
    // A plugin's source ends in its name; without a host it is one at github.com.
    let names_us = |line: &str| {
        let line = line.replace('\\', "");
        let value =
            line.trim().strip_prefix("source").map(|rest| rest.trim_start().trim_start_matches(['=', ':']).trim());
        value.is_some_and(|value| {
            value.starts_with('"') && value.trim_end_matches(',').trim_end_matches('"').ends_with("/assay")
        })
    };
    assert!(
        names_us("      source  = \"github.com/assay/assay\"") && !names_us("source = \"github.com/hashicorp/amazon\"")
    );
    let shipped = |name: &str| {
        let ours = ["packer/", "examples/", "docs/", ".circleci/", "src/", "crates/"]
            .iter()
            .any(|folder| name.starts_with(folder));
        (ours || !name.contains('/')) && !name.ends_with(".lock")
    };
    let mut wrong = Vec::new();
    let mut templates = 0;
    for (name, text) in tracked(shipped) {
        templates += text.matches("required_plugins {").count();
        let lines = (1..).zip(text.lines()).filter(|(_, line)| names_us(line));
        wrong.extend(lines.map(|(number, line)| format!("{name}:{number}: {}", line.trim())));
    }
    assert!(templates >= 4, "the templates and the README's were looked at: {templates}");
    assert!(wrong.is_empty(), "packer init would download these:\n{}", wrong.join("\n"));
}

/// The same of CircleCI's orbs and of the repository that the job `assay-binary` clones and compiles: whoever owns such a name would run with the reader's roles.
#[test]
fn the_orb_and_its_examples_name_no_owner_that_others_could_be() {
    for (name, text) in tracked(|name| name.starts_with(".circleci/")) {
        for line in text.lines().map(str::trim) {
            let value = |key: &str| line.strip_prefix(key).map(str::trim).filter(|value| !value.is_empty());
            if let Some(orb) = value("assay:") {
                assert!(orb.starts_with("<your-namespace>/"), "{name}: {line}");
            }
            if let Some(repository) = value("repository:").filter(|value| value.contains("://")) {
                assert!(repository.starts_with("https://git.example/<your-copy>/"), "{name}: {line}");
            }
            assert!(!line.contains("github.com/assay/"), "{name}: {line}");
        }
    }
}

/// Python: every package that pip installs stands in a list with the digests of its files, and pip is told to take nothing else.
#[test]
fn pip_installs_what_is_listed_by_digest_and_nothing_else() {
    for (name, text) in tracked(|name| name.ends_with("requirements.txt")) {
        // A requirement and its digests are one line with line ends that are escaped.
        let joined = text.replace("\\\n", " ");
        let lines: Vec<&str> =
            joined.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
        for line in &lines {
            let digests: Vec<&str> = line.split(" --hash=").skip(1).map(str::trim).collect();
            let pinned = line.split_whitespace().next().is_some_and(|package| package.contains("=="));
            let good = digests.iter().all(|digest| digest.strip_prefix("sha256:").is_some_and(is_digest));
            assert!(pinned && good && !digests.is_empty(), "{name}: {line}");
        }
        let asked = root().join(&name).with_extension("in");
        let asked = fs::read_to_string(&asked).unwrap_or_else(|error| panic!("{}: {error}", asked.display()));
        for wanted in asked.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (package, version) = wanted.split_once("==").expect("pinned");
            let package = package.split('[').next().unwrap_or_default().to_lowercase();
            let same = |line: &&&str| {
                let written = line.split_whitespace().next().unwrap_or_default();
                written
                    .split_once("==")
                    .is_some_and(|(name, at)| name.split('[').next() == Some(&package) && at == version)
            };
            assert!(lines.iter().any(|line| same(&line)), "{name} has no {wanted}: make it anew, as its head says");
        }
    }
    let scripts = |name: &str| {
        name.starts_with("scripts/") || name.starts_with(".c") || name.ends_with(".py") || name == "Makefile"
    };
    let mut installs = 0;
    for (name, text) in tracked(scripts) {
        for line in
            text.lines().filter(|line| line.contains("pip") && line.contains("-r\"") || line.contains("pip\" install"))
        {
            installs += 1;
            assert!(line.contains("--require-hashes"), "{name}: {line}");
        }
    }
    assert!(installs >= 2, "{installs} calls of pip were found");
}

/// Go's and Rust's own locks hold a digest for each module and crate; nothing turns them off.
#[test]
fn modules_and_crates_are_locked_by_digest() {
    for (name, _) in tracked(|name| name.ends_with("go.mod")) {
        let sums = root().join(&name).with_extension("sum");
        let text = fs::read_to_string(&sums).unwrap_or_else(|error| panic!("{}: {error}", sums.display()));
        assert!(text.lines().all(|line| line.split(' ').nth(2).is_some_and(|sum| sum.starts_with("h1:"))), "{name}");
    }
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    for package in lock.split("[[package]]").skip(1).filter(|package| package.contains("\nsource = ")) {
        let registry = package.contains("source = \"registry+https://github.com/rust-lang/crates.io-index\"");
        assert!(registry && package.contains("\nchecksum = "), "{package}");
    }
    let scripts =
        |name: &str| ["scripts/", ".ci", "examples/demo/", "Makefile"].iter().any(|begin| name.starts_with(begin));
    for (name, text) in tracked(scripts) {
        for line in text.lines() {
            let unlocked = line.contains("cargo install") && !line.contains("--locked");
            let unsummed = ["GONOSUM", "GOINSECURE", "GOFLAGS=-mod=mod", "GOSUMDB=off", "go install ", "go get "];
            let line = line.replace("cargo", "");
            assert!(!unlocked && !unsummed.iter().any(|word| line.contains(word)), "{name}: {line}");
        }
    }
}

/// What scripts fetch by hand: each program is held against a digest that stands in this repository.
#[test]
fn scripts_download_no_program_without_its_digest() {
    /// What is fetched and is no program, or is not fetched by the script.
    const OTHERS: &[(&str, &str)] = &[
        (".circleci/orb/scripts/push.sh", "GitHub's host keys, from GitHub, over TLS"),
        (
            ".circleci/orb/scripts/validate-elsewhere.sh",
            "CircleCI's API and the artifacts of a pipeline that it started",
        ),
        ("scripts/bootstrap", "a hint for people: it installs no toolchain"),
        ("scripts/programs", "names of programs"),
        (
            "scripts/test-bare",
            "a Debian root, whose packages apt holds against Debian's signature; what is fetched in it is what README says",
        ),
    ];
    let scripts = |name: &str| {
        ["scripts/", ".circleci/orb/", ".ci/", "examples/demo/", "Makefile"].iter().any(|begin| name.starts_with(begin))
    };
    let mut held = Vec::new();
    for (name, text) in tracked(scripts) {
        let fetches = text.contains("curl ") || text.contains("wget ") || text.contains("plugins install \"github.com");
        if !fetches || OTHERS.iter().any(|(other, _)| *other == name) {
            continue;
        }
        assert!(
            text.contains("sha256sum --check --strict") && !text.contains("SHA256SUMS"),
            "{name} checks what it fetches against nothing of ours"
        );
        held.push(name);
    }
    assert_eq!(held, [".circleci/orb/scripts/packer.sh"]);
    for (other, _) in OTHERS {
        assert!(root().join(other).exists(), "{other} is gone: take it off the list");
    }
    let command = fs::read_to_string(root().join(".circleci/orb/commands/packer.yml")).expect("the command");
    for platform in ["linux_amd64=", "linux_arm64="] {
        let digest = command.split(platform).nth(1).and_then(|rest| rest.split_whitespace().next());
        assert!(digest.is_some_and(is_digest), "{platform}{digest:?}");
    }
}

/// Packer knows no digests for plugins: the version is exact, where the tests have that version.
#[test]
fn the_plugins_of_our_templates_are_of_one_version() {
    for (name, text) in tracked(|name| name.starts_with("packer/") && name.ends_with(".pkr.hcl")) {
        let block = text.split("required_plugins {").nth(1).expect("plugins");
        let amazon = block.split("amazon = {").nth(1).expect("the amazon plugin");
        assert!(amazon.trim_start().starts_with("version = \"1.8.2\""), "{name}: {amazon}");
    }
}
