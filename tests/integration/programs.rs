//! `scripts/programs` lists each program that demo and tests call, so that `scripts/bootstrap` installs it on a new machine.
//! A program that somebody once installed by hand hides a missing line for years; so the list is held against the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

/// What assay itself, the mini cloud and the tools of `scripts/tools` bring along, or what is no program of this machine.
const NOT_THIS_MACHINES: &[(&str, &str)] = &[
    ("packer", "built by scripts/tools"),
    ("circleci", "there in a job of CircleCI's alone"),
    ("python", "made as a virtual environment"),
    ("sudo", "wanted only by those who are not root"),
];

/// A way to write the call of a program, by the language of the file.
struct CallPattern {
    /// What the name of the file must contain: a path of a program says little in the product, and much in a test.
    within: &'static str,
    ending: &'static str,
    pattern: &'static str,
}

const CALL_PATTERNS: &[CallPattern] = &[
    CallPattern { within: "", ending: "rs", pattern: r#"Command::new\("([^"/{}.]+)"\)"# },
    CallPattern { within: "test", ending: "rs", pattern: r#""/(?:usr/)?(?:local/)?s?bin/([a-z0-9.+-]+)", *"/"# },
    CallPattern { within: "", ending: "rs", pattern: r#"\bfound\("([a-z0-9.+-]+)"\)"# },
    CallPattern {
        within: "",
        ending: "py",
        pattern: r#"(?:run|Popen|check_call|check_output)\(\s*\[\s*"([^"/{}.]+)""#,
    },
    CallPattern { within: "", ending: "py", pattern: r#"shutil\.which\("([^"/]+)""# },
    CallPattern { within: "bootstrap.py", ending: "py", pattern: r#"(?m)^    "([a-z0-9-]+)": "[a-z0-9-]+",$"# },
];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `folder` that end in one of the languages above; no caches, no output of builds.
fn sources_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "__pycache__" {
                sources_below(&path, found);
            }
        } else if name.ends_with(".rs") || name.ends_with(".py") {
            found.push(path);
        }
    }
}

/// Program → the files that call it.
fn called_programs() -> BTreeMap<String, BTreeSet<String>> {
    let root = repository();
    let mut files = Vec::new();
    for folder in ["src", "crates", "tests", "benches", "examples"] {
        sources_below(&root.join(folder), &mut files);
    }
    let mut called = BTreeMap::<String, BTreeSet<String>>::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.strip_prefix(&root).expect("below the root").display().to_string();
        for CallPattern { within, ending, pattern } in CALL_PATTERNS {
            if !name.ends_with(ending) || !name.contains(within) {
                continue;
            }
            for captured in Regex::new(pattern).expect("a pattern").captures_iter(&text) {
                called.entry(captured[1].to_owned()).or_default().insert(name.clone());
            }
        }
    }
    called
}

/// Program → package, as `scripts/programs` has them.
fn listed_programs() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(repository().join("scripts/programs")).expect("scripts/programs");
    let mut listed = BTreeMap::new();
    for line in text.lines().filter(|it| !it.trim().is_empty() && !it.starts_with('#')) {
        let words = line.split_whitespace().collect::<Vec<_>>();
        assert!(
            matches!(words[..], ["demo" | "test", _, _]),
            "scripts/programs: `{line}`: expected PURPOSE PROGRAM PACKAGE"
        );
        let twice = listed.insert(words[1].to_owned(), words[2].to_owned());
        assert!(twice.is_none(), "scripts/programs: {} is listed twice", words[1]);
    }
    listed
}

#[test]
fn every_program_that_tests_call_is_in_the_list_that_bootstrap_installs() {
    let listed = listed_programs();
    let called = called_programs();
    // The search itself works: these are called, each in another way of writing.
    for known in ["ssh-keygen", "busybox", "dash", "git", "mmdebstrap", "ss"] {
        assert!(called.contains_key(known), "the search through the sources no longer finds {known}");
    }
    let missing = called
        .iter()
        .filter(|(program, _)| !listed.contains_key(*program))
        .filter(|(program, _)| NOT_THIS_MACHINES.iter().all(|(it, _)| it != program))
        .map(|(program, files)| {
            format!("{program} (called in {})", files.iter().cloned().collect::<Vec<_>>().join(", "))
        })
        .collect::<Vec<_>>();
    assert!(missing.is_empty(), "add to scripts/programs, with the Debian package:\n{}", missing.join("\n"));
}

#[test]
fn every_listed_program_is_on_this_machine() {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
    let missing = listed_programs()
        .into_iter()
        .filter(|(program, _)| !path.split(':').any(|folder| Path::new(folder).join(program).is_file()))
        .map(|(program, package)| format!("{program} (package {package})"))
        .collect::<Vec<_>>();
    assert!(missing.is_empty(), "run `scripts/bootstrap test`, which installs: {}", missing.join(", "));
}
