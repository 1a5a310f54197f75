//! The declarations hold together: no name twice, nothing undocumented, the page and the spec say the same.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[test]
fn no_name_is_declared_twice_anywhere() {
    let mut names = BTreeSet::new();
    let mut flags = BTreeSet::new();
    let mut places = BTreeSet::new();
    for option in all() {
        assert!(names.insert(option.name), "{} is declared twice", option.name);
        if let Some(flag) = option.flag {
            assert!(flags.insert(flag), "--{flag} is declared twice");
        }
        if let Some((section, name)) = option.file {
            assert!(places.insert(section.place(name)), "{} is declared twice", section.place(name));
        }
        if let OptionKind::Block(fields) | OptionKind::BlockList(fields) = option.kind {
            let inner: BTreeSet<_> = fields.iter().map(|field| field.name).collect();
            assert_eq!(inner.len(), fields.len(), "{} has an attribute twice", option.name);
        }
    }
}

#[test]
fn every_option_says_what_it_does_or_why_not() {
    for option in all() {
        match option.refused {
            Some(sentence) => assert!(!sentence.is_empty(), "{}", option.name),
            None => assert!(option.doc.ends_with('.'), "{} needs a sentence", option.name),
        }
        assert!(
            !option.secret || option.flag.is_none(),
            "{}: a secret in a flag shows in the process list",
            option.name
        );
        assert!(
            option.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
            "{}",
            option.name
        );
    }
}

#[test]
fn the_spec_holds_every_option_once_with_its_type() {
    let by_name: BTreeMap<_, _> = spec().into_iter().map(|entry| (entry.name, entry)).collect();
    assert_eq!(by_name.len(), all().count());
    assert_eq!(by_name["suites"].kind, SpecKind::StringList);
    assert_eq!(by_name["ssh_port"].kind, SpecKind::Number);
    assert_eq!(by_name["tags"].kind, SpecKind::StringMap);
    assert_eq!(by_name["keep_input_artifact"].kind, SpecKind::Bool);
    let SpecKind::Block(inner) = &by_name["assume_role"].kind else { panic!("assume_role is a block") };
    assert_eq!(
        inner.iter().map(|entry| entry.name).collect::<Vec<_>>(),
        ["role_arn", "session_name", "external_id", "duration_seconds"]
    );
    assert!(by_name.values().all(|entry| !entry.required), "Packer would stop at the first missing one");
}

#[test]
fn the_names_that_templates_rely_on_are_there() {
    for name in "image suites ssh_username ssh_port ssh_timeout ssh_interface instance_type subnet_id subnet_ids vpc_id \
                 security_group_id security_group_ids temporary_security_group_source_cidrs \
                 temporary_security_group_source_public_ip iam_instance_profile associate_public_ip_address user_data \
                 user_data_file run_tags spot_price ttl tags manifest custom_data report_dir on_failure keep_input_artifact \
                 config owner inputs region profile access_key secret_key token shared_credentials_file assume_role \
                 custom_endpoint_ec2 max_retries"
        .split_whitespace()
    {
        assert!(find(name).is_some_and(|option| option.refused.is_none()), "{name}");
    }
}

#[test]
fn a_slip_of_the_finger_finds_its_name_and_nonsense_finds_none() {
    assert_eq!(nearest("instnace_type", honoured_names()), Some("instance_type"));
    assert_eq!(nearest("suite", honoured_names()), Some("suites"));
    assert_eq!(nearest("colour", honoured_names()), None);
}

#[test]
fn the_options_page_is_what_the_declarations_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/options.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, markdown()).expect("docs/ is there and can be written");
    }
    let page = std::fs::read_to_string(&path).expect("docs/options.md is there; UPDATE_DOCS=1 writes it");
    assert!(page == markdown(), "docs/options.md is out of date: UPDATE_DOCS=1 cargo test options_page");
    for option in all() {
        assert!(page.contains(&format!("| `{}` |", option.name)), "{} is not in the page", option.name);
    }
}
