//! The command line from outside: exit codes, requests, the plugin's place on disk.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{CommandFactory, Parser};
use tempfile::TempDir;

use super::{
    args::{CliCommand, CommandLine},
    commit, lint, packer_install, probe, prune, run, sweep, validate,
};
use assay_config::{
    ConfigProblem,
    request::{HostKeyTrust, OutputFormat, ProbeHost, TargetChoice, ValidateRequest},
};
use assay_model::{Digest, exit::ExitStatus};
use assay_suite::Suite;

/// Stands in for the reader of suites: a file that exists is a suite, any other is a diagnostic.
fn fake_suites(paths: &[PathBuf], folder: &Path, _: &assay_suite::VarSources) -> Result<Vec<Suite>, Vec<String>> {
    let read = |path: &PathBuf| match fs::read(folder.join(path)) {
        Ok(bytes) => Ok(Suite {
            name: "smoke".to_owned(),
            path: path.clone(),
            digest: Digest::of(&bytes),
            checks: Vec::new(),
            sudo: Default::default(),
        }),
        Err(_) => Err(vec![format!("{} cannot be read", path.display())]),
    };
    paths.iter().map(read).collect()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn parse(arguments: &str) -> CommandLine {
    CommandLine::try_parse_from(arguments.split_whitespace()).unwrap_or_else(|error| panic!("{error}"))
}

fn texts(problems: Vec<ConfigProblem>) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn validate_in(folder: &TempDir, arguments: &str, region: Option<&str>) -> Result<ValidateRequest, Vec<String>> {
    let cli = parse(&format!("assay validate {arguments}"));
    let CliCommand::Validate(args) = &cli.command else { panic!("validate") };
    let environment = |name: &str| region.filter(|_| name == "AWS_REGION").map(str::to_owned);
    validate::plan_in(args, &cli.globals, folder.path(), fake_suites, &environment).map_err(texts)
}

const AMI: &str = "us-east-1:ami-0abcdef1234567890";
const ASSAY_HCL: &str = "owner = \"acme\"\nimage \"base\" {\n  suites {\n    candidate = [\"smoke.hcl\"]\n  }\n  ssh {\n    username = \"debian\"\n  }\n}\n";

#[test]
fn the_command_is_well_formed() {
    CommandLine::command().debug_assert();
}

#[test]
fn the_help_is_what_it_was() {
    let help = CommandLine::command().term_width(100).render_help().to_string();
    insta::assert_snapshot!(help);
}

#[test]
fn commands_of_later_releases_are_not_listed() {
    let names: Vec<String> =
        CommandLine::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    assert_eq!(
        names,
        [
            "validate",
            "probe",
            "serve",
            "commit",
            "plan",
            "build",
            "promote",
            "reject",
            "retire",
            "revoke",
            "rollback",
            "verify",
            "status",
            "sweep",
            "doctor",
            "iam",
            "prune",
            "diff",
            "lint",
            "report",
            "packer",
            "completions",
            "man",
        ]
    );
}

#[test]
fn prune_takes_no_name_twice() {
    let folder = folder(&[("assay.hcl", "image \"base\" {\n}\n")]);
    let plan = |arguments: &str| {
        let cli = parse(&format!("assay prune {arguments}"));
        let CliCommand::Prune(args) = &cli.command else { panic!("prune") };
        prune::plan_in(args, &cli.globals, folder.path()).map(drop).map_err(texts)
    };
    assert_eq!(plan("--region us-east-1 eu-west-1 --image base"), Ok(()));
    let wrong = plan("--region us-east-1 us-east-1 --image base --image base");
    let wrong = wrong.expect_err("twice");
    assert_eq!(wrong, ["--image: \"base\" is named twice", "--region: \"us-east-1\" is named twice"]);
}

#[test]
fn wrong_usage_is_one_and_help_is_none() {
    let exit = |arguments: &str| run(arguments.split(' ').map(Into::into).collect());
    assert_eq!(exit("assay --help"), ExitStatus::Done);
    assert_eq!(exit("assay --version"), ExitStatus::Done);
    for wrong in [
        "assay",
        "assay validate",
        "assay validate --ami ami-0abcdef1234567890",
        "assay validate --ami us-east-1:ami-0abcdef1234567890 --manifest m.json",
        "assay validate --state candidate",
        "assay validate --candidate",
        "assay validate --image base --candidate --state candidate",
        "assay validate --image base --candidate perhaps",
        "assay diff",
        "assay diff a.json",
        "assay diff a.json b.json --image base",
        "assay diff --image base --against silver",
        "assay diff --image base --format junit",
        "assay lint --format markdown",
        "assay diff a.json b.json",
        "assay validate --image base --state perfect",
        "assay probe --host nobody --key k --suite s",
        "assay commit",
        "assay commit --manifest /nosuch/manifest.json",
        "assay sweep --run x",
        "assay --format yaml lint",
        "assay --format junit lint",
        "assay --format json=x lint",
        "assay --format json= lint",
        "assay report merge /nosuch",
        "assay report merge",
    ] {
        assert_eq!(exit(wrong), ExitStatus::Usage, "{wrong}");
    }
}

#[test]
fn flags_and_assay_hcl_make_one_request() {
    let folder = folder(&[("smoke.hcl", ""), ("assay.hcl", ASSAY_HCL)]);
    let request = validate_in(
        &folder,
        &format!("--ami {AMI},eu-west-1:ami-0abcdef1234567891 --image base --ssh-username admin --tag A=1 --tag B=x=y \
                  --security-group-id sg-0abcdef1234567890 --associate-public-ip-address --ssh-timeout 90s --format json"),
        None,
    )
    .expect("a request");
    assert!(matches!(&request.targets, TargetChoice::Amis(amis) if amis.len() == 2));
    assert_eq!(request.settings.ssh.username.as_deref(), Some("admin"), "a flag outweighs assay.hcl");
    assert_eq!(request.settings.ssh.timeout, Duration::from_secs(90));
    assert_eq!(request.settings.tags["B"], "x=y");
    assert_eq!(request.settings.launch.security_group_ids.len(), 1);
    assert_eq!(request.settings.launch.associate_public_ip_address, Some(true));
    assert_eq!(request.settings.suites.len(), 1, "from assay.hcl");
    assert_eq!(request.settings.owner.as_deref(), Some("acme"));
    assert_eq!(request.outputs.stdout, OutputFormat::Json);
    assert!(request.stamp && request.image_named);
    let request = validate_in(&folder, &format!("--ami {AMI}"), None).expect("a request");
    assert!(!request.image_named, "the only image of assay.hcl is a guess");
}

#[test]
fn every_mistake_of_a_command_line_is_named() {
    let folder = folder(&[("assay.hcl", "image \"base\" {\n  sutes {\n  }\n}\n")]);
    let problems = validate_in(
        &folder,
        &format!("--ami {AMI} {AMI} --image base --ssh-port high --tag a --suite nosuch.hcl --ttl 1"),
        None,
    )
    .expect_err("mistakes")
    .join("\n");
    insta::assert_snapshot!(problems);
}

#[test]
fn a_state_needs_a_place_to_look() {
    let folder = folder(&[("smoke.hcl", ""), ("assay.hcl", ASSAY_HCL)]);
    let regions = |arguments: &str, region| match validate_in(&folder, arguments, region)?.targets {
        TargetChoice::State { regions, .. } => {
            Ok::<_, Vec<String>>(regions.iter().map(ToString::to_string).collect::<Vec<_>>())
        }
        other => panic!("{other:?}"),
    };
    let state = "--image base --state candidate";
    assert_eq!(
        regions(&format!("{state} --region eu-west-1 us-east-1"), Some("us-west-2")).expect("regions"),
        ["eu-west-1", "us-east-1"]
    );
    assert_eq!(regions(state, Some("us-west-2")).expect("a region"), ["us-west-2"]);
    assert_eq!(regions(state, None).expect_err("none"), ["--region: is missing; with --state it says where to look"]);
    assert_eq!(
        regions(state, Some("Oregon")).expect_err("none"),
        ["AWS_REGION: \"Oregon\" is not an AWS region; expected a region name like us-east-1"]
    );
}

fn manifest(images: &[(&str, Option<&str>)]) -> String {
    let builds: Vec<_> = images
        .iter()
        .enumerate()
        .map(|(at, (run, image))| {
            let mut build = serde_json::json!({
                "name": format!("b{at}"), "builder_type": "amazon-ebs", "files": null, "custom_data": null,
                "artifact_id": format!("us-east-1:ami-0000000{at},eu-west-1:ami-1000000{at}"), "packer_run_uuid": run,
            });
            if let Some(image) = image {
                build["assay"] = serde_json::json!({
                    "image": image, "run": "01J00000000000000000000000", "state": "candidate", "verdict": "passed",
                    "amis": {}, "records": [], "provenance": {}, "evidence": "e.json",
                    "evidence_digest": Digest::of(b"").as_str(), "tested_at": "2026-01-01T00:00:00Z",
                });
            }
            build
        })
        .collect();
    serde_json::json!({"builds": builds, "last_run_uuid": "last"}).to_string()
}

#[test]
fn a_manifest_names_its_amis_and_its_image() {
    let amis = |manifest_text: String, arguments: &str| -> Result<(String, usize), Vec<String>> {
        let folder = folder(&[("smoke.hcl", ""), ("assay.hcl", ASSAY_HCL), ("m.json", &manifest_text)]);
        let request = validate_in(&folder, &format!("--manifest m.json {arguments}"), None)?;
        match request.targets {
            TargetChoice::Manifest { amis, .. } => {
                Ok((request.settings.image.expect("an image").to_string(), amis.len()))
            }
            other => panic!("{other:?}"),
        }
    };
    let ours = manifest(&[("earlier", Some("base")), ("last", Some("base")), ("last", Some("base"))]);
    assert_eq!(amis(ours, "").expect("AMIs"), ("base".to_owned(), 4), "of the last run only");
    let packers = manifest(&[("last", None)]);
    assert_eq!(amis(packers.clone(), "").expect("AMIs"), ("base".to_owned(), 2), "the only image of assay.hcl");
    assert_eq!(amis(packers, "--image base").expect("AMIs"), ("base".to_owned(), 2));
    let two = manifest(&[("last", Some("base")), ("last", Some("app"))]);
    assert_eq!(
        amis(two.clone(), "").expect_err("two images"),
        ["--manifest: m.json: its last run built several images; say which with --image"]
    );
    assert_eq!(amis(two, "--image base").expect("AMIs"), ("base".to_owned(), 2));
    let empty = r#"{"builds":[],"last_run_uuid":""}"#.to_owned();
    assert_eq!(amis(empty.clone(), "").expect_err("empty"), ["--manifest: m.json: its last run holds no build"]);
    assert_eq!(
        amis(empty, "--image base").expect_err("empty"),
        ["--manifest: m.json: its last run holds no build of image \"base\""]
    );
    let broken = amis("{".to_owned(), "").expect_err("broken");
    assert!(broken[0].starts_with("--manifest: m.json: is no manifest"), "{broken:?}");
}

#[test]
fn hosts_are_read_as_people_write_them() {
    let host = |user: &str, host: &str, port| Ok(ProbeHost { user: user.to_owned(), host: host.to_owned(), port });
    assert_eq!(probe::host("admin@10.0.0.5"), host("admin", "10.0.0.5", 22));
    assert_eq!(probe::host("admin@web.example:2222"), host("admin", "web.example", 2222));
    assert_eq!(probe::host("admin@[2001:db8::1]"), host("admin", "2001:db8::1", 22));
    assert_eq!(probe::host("a@b@[::1]:23"), host("a@b", "::1", 23));
    for wrong in [
        "web",
        "@web",
        "a@",
        "a@web:",
        "a@web:0",
        "a@web:99999",
        "a@::1",
        "a@[::1",
        "a@[::1]x",
        "-o@web",
        "a@-oProxyCommand=x",
    ] {
        assert!(probe::host(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn probe_knows_what_it_is_told_of_host_keys() {
    let folder = folder(&[("smoke.hcl", ""), ("key", PRIVATE_KEY), ("known", "")]);
    let plan = |arguments: &str, host_key: Option<&str>| {
        let mut words: Vec<&str> = "assay probe --key key --suite smoke.hcl".split(' ').collect();
        words.extend(arguments.split_whitespace());
        words.extend(host_key.iter().flat_map(|line| ["--host-key", line]));
        let cli = CommandLine::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        let CliCommand::Probe(args) = &cli.command else { panic!("probe") };
        probe::plan_in(args, &cli.globals, folder.path(), fake_suites, &|_| None).map_err(texts)
    };
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    assert_eq!(plan("--host a@x", Some(line)).expect("a request").host_key, HostKeyTrust::Line(line.to_owned()));
    assert_eq!(
        plan("--host a@x --host a@y --known-hosts known", None).expect("a request").host_key,
        HostKeyTrust::KnownHosts("known".into())
    );
    assert_eq!(plan("--host a@x", None).expect("a request").host_key, HostKeyTrust::None);
    assert_eq!(plan("--host a@x a@x a@y", Some("ssh-ed25519 x")).expect_err("mistakes").len(), 3);
    fs::remove_file(folder.path().join("key")).expect("removed");
    assert_eq!(
        plan("--host a@x --suite nosuch --report-dir smoke.hcl", None).map(|_| ()).expect_err("mistakes").len(),
        3
    );
}

/// As much of a key as the command line looks at.
const PRIVATE_KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n";

#[test]
fn probe_refuses_at_once_what_can_never_log_in() {
    let locked = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    let folder = folder(&[
        ("smoke.hcl", ""),
        ("key", PRIVATE_KEY),
        ("key.pub", "ssh-ed25519 AAAA me\n"),
        ("notes", "hello\n"),
        ("locked", locked),
        ("locked8", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"),
    ]);
    let mistakes = |key: &str| {
        let cli = parse(&format!("assay probe --host a@x --suite smoke.hcl --key {key}"));
        let CliCommand::Probe(args) = &cli.command else { panic!("probe") };
        probe::plan_in(args, &cli.globals, folder.path(), fake_suites, &|_| None)
            .map(drop)
            .map_err(texts)
            .err()
            .unwrap_or_default()
    };
    assert_eq!(mistakes("key"), Vec::<String>::new());
    for (key, why) in [
        ("key.pub", "key.pub: is a public key"),
        ("notes", "notes: is no private key"),
        ("locked", "locked: has a passphrase"),
        ("locked8", "locked8: has a passphrase"),
        ("nosuch", "nosuch: cannot be read"),
    ] {
        let mistakes = mistakes(key);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&format!("--key: {why}")), "{mistakes:?}");
    }
}

#[test]
fn sweep_takes_its_owner_from_assay_hcl_but_overrules_expiry_only_when_told() {
    let folder = folder(&[("assay.hcl", ASSAY_HCL)]);
    let plan = |arguments: &str| {
        let cli = parse(&format!("assay sweep {arguments}"));
        let CliCommand::Sweep(args) = &cli.command else { panic!("sweep") };
        sweep::plan_in(args, &cli.globals, folder.path()).map_err(texts)
    };
    let request = plan("--older-than 2h --profile ci --region us-east-1 eu-west-1").expect("a request");
    assert_eq!((request.owner.as_deref(), request.owner_named, request.yes), (Some("acme"), false, false));
    assert_eq!(request.older_than, Some(Duration::from_secs(7200)));
    assert_eq!((request.access.profile.as_deref(), request.regions.len()), (Some("ci"), 2));
    let request = plan("--owner other --yes").expect("a request");
    assert_eq!((request.owner.as_deref(), request.owner_named, request.yes), (Some("other"), true, true));
    assert_eq!(plan("--custom-endpoint-ec2 here").expect_err("a mistake").len(), 1);
}

#[test]
fn commit_refuses_names_that_git_would_take_for_options() {
    let folder = folder(&[("m.json", "{}")]);
    let path = folder.path().join("m.json");
    let plan = |arguments: &[&str]| {
        let path = path.to_str().expect("a plain path");
        let cli = CommandLine::try_parse_from(["assay", "commit", "--manifest", path].iter().chain(arguments))
            .unwrap_or_else(|error| panic!("{error}"));
        let CliCommand::Commit(args) = &cli.command else { panic!("commit") };
        commit::plan(args, &cli.globals).map_err(texts)
    };
    assert!(plan(&[]).expect("a request").push);
    assert!(!plan(&["--no-push", "--branch", "topic"]).expect("a request").push);
    let problems = plan(&["--remote=--upload-pack=x", "--branch=a..b"]).expect_err("mistakes");
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn lint_finds_the_mistakes_of_every_image_once() {
    let text = "owner = \"a b\"\nimage \"base\" {\n  suites {\n    candidate = [\"nosuch.hcl\"]\n    gold = [\"nogold.hcl\"]\n  }\n}\n\
                image \"app\" {\n  on_failure = \"explode\"\n}\n";
    let folder = folder(&[("assay.hcl", text), ("smoke.hcl", "")]);
    let lint = |arguments: &str, folder: &Path| {
        let cli = parse(&format!("assay lint {arguments}"));
        let CliCommand::Lint(args) = &cli.command else { panic!("lint") };
        lint::lint(args, &cli.globals, folder, fake_suites).map(|linted| texts(linted.problems))
    };
    let problems = lint("", folder.path()).expect("looked at").join("\n");
    insta::assert_snapshot!(problems);
    assert_eq!(lint("smoke.hcl", folder.path()).expect("looked at"), Vec::<String>::new());
    assert_eq!(lint("smoke.hcl other.hcl", folder.path()).expect("looked at"), ["other.hcl cannot be read"]);
    assert!(lint("", Path::new("/")).is_err(), "unless there is an /assay.hcl");
}

#[test]
fn lint_reads_the_allowed_signers_as_promotion_will() {
    let lint = |folder: &Path| {
        let cli = parse("assay lint");
        let CliCommand::Lint(args) = &cli.command else { panic!("lint") };
        lint::lint(args, &cli.globals, folder, fake_suites).map(|linted| texts(linted.problems)).expect("looked at")
    };
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVwYsEqm2+9AEYJ/gEaGXzCIbHA7pPuJpFeBXf7Ylbs";
    let image = "image \"base\" {}\n";
    let demands = format!("promotion {{\n  require_signature = true\n}}\n{image}");
    let good = folder(&[("assay.hcl", &demands)]);
    assert!(lint(good.path())[0].contains("is not there, and assay.hcl demands signatures"));
    let file = good.path().join("images/allowed_signers");
    fs::create_dir_all(file.parent().expect("one")).expect("a folder");
    fs::write(&file, format!("# testers\nci@example.com {key}\n")).expect("written");
    assert_eq!(lint(good.path()), Vec::<String>::new());
    fs::write(&file, format!("ci@example.com {key}\nci@example.com\nci bogus=\"x\" {key}\n")).expect("written");
    let wrong = lint(good.path());
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("images/allowed_signers line 2: "), "{wrong:?}");
    assert!(wrong[1].contains("images/allowed_signers line 3: "), "{wrong:?}");
    fs::write(&file, "# nobody\n").expect("written");
    assert!(lint(good.path())[0].contains("trusts no key"));
    // Its target may be any file of the machine, and mistakes quote what they are about.
    fs::remove_file(&file).expect("removed");
    std::os::unix::fs::symlink("/etc/passwd", &file).expect("linked");
    let linked = lint(good.path());
    assert!(linked.len() == 1 && linked[0].contains("lies behind a link"), "{linked:?}");
    assert_eq!(lint(folder(&[("assay.hcl", image)]).path()), Vec::<String>::new());
}

#[test]
fn the_plugin_lies_where_packer_looks() {
    let folder = folder(&[("program", "bytes")]);
    let (program, root) = (folder.path().join("program"), folder.path().join("plugins"));
    for _ in 0..2 {
        packer_install::install_to(&program, &root, "github.com/acme/assay", "linux_amd64", true).expect("installed");
    }
    let name = format!("packer-plugin-assay_v{}_x5.0_linux_amd64", env!("CARGO_PKG_VERSION"));
    let below = root.join("github.com/acme/assay");
    let mut names: Vec<String> = fs::read_dir(&below)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    assert_eq!(names, [name.clone(), format!("{name}_SHA256SUM")], "and nothing that was written aside");
    assert_eq!(fs::read(below.join(&name)).expect("the program"), b"bytes");
    let sum = fs::read_to_string(below.join(format!("{name}_SHA256SUM"))).expect("the sum");
    assert_eq!(format!("sha256:{sum}"), Digest::of(b"bytes").as_str(), "64 digits, no line end");
    assert_eq!(fs::read(root.join("packer-plugin-assay")).expect("the bare copy"), b"bytes");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(below.join(&name)).expect("the program").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }
}

#[test]
#[cfg(unix)]
fn the_plugin_folder_is_packers_own() {
    let home = folder(&[]);
    let home_text = home.path().to_str().expect("a plain path").to_owned();
    let folder_of = |variables: &[(&str, &str)]| {
        let given: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        packer_install::plugin_folder(&move |name| {
            given.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        })
        .map(|path| path.display().to_string())
        .map_err(|error| error.to_string())
    };
    assert_eq!(folder_of(&[("PACKER_PLUGIN_PATH", "/p"), ("HOME", "/h")]), Ok("/p".to_owned()));
    assert!(folder_of(&[("PACKER_PLUGIN_PATH", "/p:/q")]).expect_err("two").contains("several folders"));
    assert_eq!(folder_of(&[("PACKER_CONFIG_DIR", "/c"), ("HOME", "/h")]), Ok("/c/.packer.d/plugins".to_owned()));
    assert_eq!(folder_of(&[("HOME", &home_text)]), Ok(format!("{home_text}/.config/packer/plugins")));
    assert_eq!(folder_of(&[("HOME", &home_text), ("XDG_CONFIG_HOME", "/x")]), Ok("/x/packer/plugins".to_owned()));
    fs::create_dir(home.path().join(".packer.d")).expect("made");
    assert_eq!(
        folder_of(&[("HOME", &home_text), ("XDG_CONFIG_HOME", "/x")]),
        Ok(format!("{home_text}/.packer.d/plugins"))
    );
    assert!(folder_of(&[]).is_err());
}

#[test]
fn names_are_gos_and_packers() {
    assert_eq!(packer_install::platform("linux", "x86_64").expect("a platform"), "linux_amd64");
    assert_eq!(packer_install::platform("macos", "aarch64").expect("a platform"), "darwin_arm64");
    assert!(packer_install::platform("linux", "mips").is_err());
    assert!(packer_install::source("example.com/a/b/assay").is_ok());
    for wrong in
        ["assay", "acme/assay", "github.com/acme/packer-plugin-assay", "github.com//assay", "github.com/../assay"]
    {
        assert!(packer_install::source(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn lint_reads_real_suites() {
    let suite = "suite \"smoke\" {\n  file \"/etc/passwd\" {\n    exits = true\n  }\n  port \"tcp:22\" {\n    listning = true\n  }\n}\n";
    let folder = folder(&[("assay.hcl", ASSAY_HCL), ("smoke.hcl", suite)]);
    let cli = parse("assay lint");
    let CliCommand::Lint(args) = &cli.command else { panic!("lint") };
    let linted = lint::lint(args, &cli.globals, folder.path(), assay_config::suites::load).expect("looked at");
    let problems = texts(linted.problems).join("\n").replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(problems);
}

#[test]
fn findings_go_to_stdout_in_one_format_and_to_files_in_any() {
    let folder = folder(&[("smoke.hcl", ""), ("key", PRIVATE_KEY)]);
    let plan = |arguments: &str| {
        let cli = parse(&format!("assay probe --host a@x --suite smoke.hcl --key key {arguments}"));
        let CliCommand::Probe(args) = &cli.command else { panic!("probe") };
        probe::plan_in(args, &cli.globals, folder.path(), fake_suites, &|_| None).map_err(texts)
    };
    let outputs = plan("--format junit=out/junit.xml --format tap --format json=e.json").expect("a request").outputs;
    assert_eq!(outputs.stdout, OutputFormat::Tap);
    assert_eq!(outputs.files, [(OutputFormat::Junit, "out/junit.xml".into()), (OutputFormat::Json, "e.json".into())]);
    assert_eq!(plan("").expect("a request").outputs.stdout, OutputFormat::Text);
    let mistakes = |arguments: &str| plan(arguments).map(|_| ()).expect_err("a mistake").join("\n");
    assert!(mistakes("--format tap --format json").contains("twice for stdout"));
    assert!(mistakes("--format tap=x --format json=x").contains("writes x twice"));
}

#[test]
fn a_share_is_what_the_flag_asks_for() {
    let folder = folder(&[("smoke.hcl", ""), ("key", PRIVATE_KEY)]);
    let plan = |arguments: &str, node: Option<(&'static str, &'static str)>| {
        let cli = parse(&format!("assay probe --host a@1 a@2 a@3 --suite smoke.hcl --key key {arguments}"));
        let CliCommand::Probe(args) = &cli.command else { panic!("probe") };
        let environment = move |name: &str| {
            node.and_then(|(index, total)| match name {
                "CIRCLE_NODE_INDEX" => Some(index.to_owned()),
                "CIRCLE_NODE_TOTAL" => Some(total.to_owned()),
                _ => None,
            })
        };
        let request = probe::plan_in(args, &cli.globals, folder.path(), fake_suites, &environment).map_err(texts)?;
        let planned = request.shard.map(|record| record.planned.len());
        Ok::<_, Vec<String>>((request.hosts.iter().map(|h| h.host.clone()).collect::<Vec<_>>().concat(), planned))
    };
    assert_eq!(plan("", None), Ok(("123".to_owned(), None)));
    assert_eq!(plan("--shard 1/2", None), Ok(("13".to_owned(), Some(3))));
    assert_eq!(plan("", Some(("1", "2"))), Ok(("123".to_owned(), None)), "nobody asked for a share");
    assert_eq!(plan("", Some(("2", "2"))), Ok(("123".to_owned(), None)), "and so nobody reads what the container says");
    assert_eq!(plan("--shard auto", Some(("1", "2"))), Ok(("2".to_owned(), Some(3))), "CircleCI counts from 0");
    assert_eq!(plan("--shard auto", None), Ok(("123".to_owned(), None)), "no containers");
    assert_eq!(plan("--shard 1/1", Some(("1", "2"))), Ok(("123".to_owned(), None)), "all of it");
    assert_eq!(plan("--shard 4/4", None), Ok((String::new(), Some(3))), "more shares than machines");
    assert!(plan("--shard auto", Some(("2", "2"))).expect_err("no such container")[0].contains("CIRCLE_NODE_INDEX=2"));
}

#[test]
fn a_share_that_holds_nothing_is_no_pass() {
    let folder = folder(&[("smoke.hcl", ""), ("key", PRIVATE_KEY)]);
    let cli = parse("assay probe --host a@1 --suite smoke.hcl --key key --shard 2/2");
    let CliCommand::Probe(args) = &cli.command else { panic!("probe") };
    let request = probe::plan_in(args, &cli.globals, folder.path(), fake_suites, &|_| None).map_err(texts);
    assert_eq!(probe::execute(request.expect("a request")), ExitStatus::Nothing);
}

#[test]
fn a_machine_has_one_spelling() {
    let host = |text: &str| probe::host(text).map(|host| host.to_string());
    assert_eq!(host("root@LOCALHOST"), host("root@localhost:22"));
    assert_eq!(host("root@[0:0:0:0:0:0:0:1]"), host("root@[::1]"));
    assert_ne!(host("Root@a"), host("root@a"), "accounts differ by case");
}

#[test]
fn shares_are_merged_and_a_missing_one_is_no_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = assay_model::sample::passed();
    let part = |index: u32, name: &str| {
        let mut evidence = whole.clone();
        evidence.runs.clear();
        let target = &mut evidence.targets[0];
        target.target = format!("root@host{index}:22");
        target.ami = None;
        let shard = assay_model::Shard::new(index, 2).expect("a share");
        let planned = vec!["root@host1:22".to_owned(), "root@host2:22".to_owned()];
        evidence.shard = Some(assay_model::shard::ShardRecord { shard, planned });
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, serde_json::to_string(&evidence).expect("JSON")).expect("written");
    };
    part(1, "node0/evidence.json");
    let merge = |more: &str| {
        let line = format!("assay report merge {} {more}", folder.path().display());
        run(line.split_whitespace().map(Into::into).collect())
    };
    assert_eq!(merge(""), ExitStatus::Undecided, "one share is missing");
    part(2, "node1/evidence-base.json");
    let merged = folder.path().join("whole.json");
    assert_eq!(merge(&format!("--format json={}", merged.display())), ExitStatus::Done);
    let text = fs::read_to_string(&merged).expect("written");
    let evidence: assay_model::Evidence = serde_json::from_str(&text).expect("evidence");
    assert_eq!(evidence.targets.len(), 2);
    assert_eq!(evidence.shard, None);
}

#[path = "tests_manager.rs"]
mod manager;
