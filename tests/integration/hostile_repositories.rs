//! What a commit or an artifact can put into a checkout so that git's own discovery takes it for a repository, and every command that uses git beside it: none may
//! run a program that its settings name, and none may read another repository than the checkout's. The table is the product of commands, repositories and places.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A run id that no test makes.
const RUN: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C";

/// Every command that asks git, with the least it needs; the checkout's top folder is the working folder.
const COMMANDS: &[&[&str]] = &[
    &["verify"],
    &["doctor"],
    &["promote", "--image", "base", "--to", "vetted", "--evidence", "ci/build/reports/evidence.json"],
    &["promote", "--image", "base", "--to", "gold"],
    &["reject", "--image", "base", "--run", RUN, "--reason", "x"],
    &["retire", "--image", "base", "--run", RUN, "--reason", "x"],
    &["revoke", "--image", "base", "--run", RUN, "--reason", "x"],
    &["rollback", "--image", "base", "--reason", "x"],
    &["prune"],
    &["plan"],
    &["build", "--dry-run"],
    &["status"],
    &["lint"],
    &["lint", "ci/suites/own.hcl"],
    &["validate", "--image", "base", "--candidate", "--ssh-username", "debian"],
    &["commit", "--manifest", "ci/build/reports/manifest.json"],
    &["commit", "--manifest", "ci/build/reports/manifest.json", "--no-push"],
    &["diff", "--image", "base", "--candidate"],
    &["sweep"],
];
/// Commands that ask git for nothing.
const WITHOUT_GIT: &[&str] = &["probe", "serve", "iam", "report", "packer", "man", "completions", "help"];

/// What stands in a hostile folder. Each names the canary program wherever git's settings can name one.
const REPOSITORIES: &[Hostile] = &[
    Hostile { name: "bare", holds_git: false, plant: bare },
    Hostile { name: "promisor with a sparse index", holds_git: false, plant: promisor },
    Hostile { name: "linked work tree", holds_git: false, plant: linked },
    Hostile { name: "alternates", holds_git: false, plant: alternates },
    Hostile { name: "filters and attributes", holds_git: false, plant: filters },
    Hostile { name: "hooks", holds_git: false, plant: hooks },
    Hostile { name: "replaced objects", holds_git: false, plant: replaced },
    Hostile { name: ".git file", holds_git: true, plant: git_file },
    Hostile { name: ".git folder", holds_git: true, plant: git_folder },
];

/// Where it is put: the folder of assay.hcl, and that of the reports.
const PLACES: [&str; 2] = ["ci", "ci/build/reports"];

struct Hostile {
    name: &'static str,
    /// Whether it brings a `.git`, which no commit can hold but an artifact can.
    holds_git: bool,
    plant: fn(&World, &Path),
}

/// A remote, a checkout of it with assay.hcl in `ci/`, and a program that leaves a file when it is run.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: TempDir::new().unwrap() };
        world.write("home/.gitconfig", "[user]\n\tname = T\n\temail = t@localhost\n[init]\n\tdefaultBranch = main\n");
        world.script("hit", &format!("#!/bin/sh\necho \"$0 $*\" >>{}\nexit 1\n", world.path("canary").display()));
        world.git(".", &["init", "-q", "--bare", "remote.git"]);
        world.git(".", &["init", "-q", "checkout"]);
        world.write(
            "checkout/ci/assay.hcl",
            "image \"base\" {\n  inputs = [\"packer/**\"]\n  suites {\n    candidate = [\"suites/own.hcl\"]\n    gold = [\"suites/own.hcl\"]\n  }\n}\n",
        );
        world.write("checkout/ci/suites/own.hcl", "suite \"own\" {\n  file \"/etc/passwd\" { exists = true }\n}\n");
        world.write("checkout/ci/packer/base.pkr.hcl", "# a template\n");
        world.git("checkout", &["add", "."]);
        world.git("checkout", &["commit", "-qm", "first"]);
        world.git("checkout", &["remote", "add", "origin", "../remote.git"]);
        world.git("checkout", &["push", "-qu", "origin", "main"]);
        let evidence = format!(
            "{{\"schema\": 1, \"verdict\": \"passed\", \"run\": \"{RUN}\", \"image\": \"base\", \"provenance\": {{}}, \"suites\": [], \
             \"started_at\": \"2026-11-22T10:00:00Z\", \"finished_at\": \"2026-11-22T10:05:00Z\", \"targets\": [], \"assay_version\": \"0.1.0\"}}\n"
        );
        world.write("checkout/ci/build/reports/evidence.json", &evidence);
        world.write("checkout/ci/build/reports/manifest.json", "{\"builds\": [], \"last_run_uuid\": \"\"}\n");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn environment(&self) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.display().to_string();
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        all.insert("PATH".to_owned(), std::env::var("PATH").unwrap());
        all.insert("HOME".to_owned(), text(self.path("home")));
        all.insert("XDG_STATE_HOME".to_owned(), text(self.path("home/state")));
        all.insert("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned());
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_MAX_ATTEMPTS", "1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            // Nothing listens there.
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ] {
            all.insert(name.to_owned(), value.to_owned());
        }
        all.into_iter().collect()
    }

    fn run(&self, program: &str, folder: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .current_dir(self.path(folder))
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let output = self.run("git", folder, arguments);
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs a command of assay's at the top of the checkout. Returns how it ended and what it printed.
    fn assay(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let arguments = [arguments, &["--config", "ci/assay.hcl"]].concat();
        let output = self.run(env!("CARGO_BIN_EXE_assay"), "checkout", &arguments);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// What the canary program was called with since the last look.
    fn hits(&self) -> String {
        let path = self.path("canary");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text
    }

    /// Settings that run the canary program, of a repository whose work tree is its own folder.
    fn settings(&self, more: &str) -> String {
        let hit = self.path("hit").display().to_string();
        format!(
            "[core]\n\trepositoryFormatVersion = 0\n\tbare = false\n\tworktree = .\n\tsshCommand = {hit}\n\tfsmonitor = {hit}\n\
             \thooksPath = hooks\n\tpager = {hit}\n\teditor = {hit}\n\taskPass = {hit}\n\tgitProxy = {hit}\n\talternateRefsCommand = {hit}\n\
             [credential]\n\thelper = {hit}\n[gpg]\n\tprogram = {hit}\n[gpg \"ssh\"]\n\tprogram = {hit}\n[commit]\n\tgpgSign = true\n\
             [diff]\n\texternal = {hit}\n[uploadpack]\n\tpackObjectsHook = {hit}\n\
             [remote \"origin\"]\n\turl = ssh://x.invalid/y\n\tuploadpack = {hit}\n\treceivepack = {hit}\n{more}"
        )
    }
}

fn bare(world: &World, folder: &Path) {
    for name in ["objects", "refs"] {
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join(".keep"), "").unwrap();
    }
    fs::write(folder.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(folder.join("config"), world.settings("")).unwrap();
}

fn promisor(world: &World, folder: &Path) {
    bare(world, folder);
    let more =
        "[extensions]\n\tpartialClone = origin\n[remote \"origin\"]\n\tpromisor = true\n[index]\n\tsparse = true\n";
    fs::write(folder.join("config"), world.settings(more).replacen("Version = 0", "Version = 1", 1)).unwrap();
    world.git(".", &["clone", "-q", "checkout", "sparse"]);
    world.git("sparse", &["sparse-checkout", "init", "--cone", "--sparse-index"]);
    fs::copy(world.path("sparse/.git/index"), folder.join("index")).unwrap();
}

fn linked(world: &World, folder: &Path) {
    let common = world.path("checkout/ci/common");
    fs::create_dir_all(&common).unwrap();
    bare(world, &common);
    fs::write(folder.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(folder.join("commondir"), format!("{}\n", common.display())).unwrap();
    fs::write(folder.join("gitdir"), format!("{}\n", folder.join(".git").display())).unwrap();
}

fn alternates(world: &World, folder: &Path) {
    bare(world, folder);
    fs::create_dir_all(folder.join("objects/info")).unwrap();
    let objects = world.path("checkout/.git/objects").display().to_string();
    fs::write(folder.join("objects/info/alternates"), objects + "\n").unwrap();
    let head = world.git("checkout", &["rev-parse", "HEAD"]);
    fs::create_dir_all(folder.join("refs/heads")).unwrap();
    fs::write(folder.join("refs/heads/main"), head + "\n").unwrap();
    fs::copy(world.path("checkout/.git/index"), folder.join("index")).unwrap();
}

fn filters(world: &World, folder: &Path) {
    alternates(world, folder);
    let hit = world.path("hit").display().to_string();
    let more = format!("[filter \"x\"]\n\tclean = {hit}\n\tsmudge = {hit}\n\tprocess = {hit}\n\trequired = true\n");
    fs::write(folder.join("config"), world.settings(&more)).unwrap();
    fs::write(folder.join(".gitattributes"), "* filter=x diff=x merge=x\n").unwrap();
}

fn hooks(world: &World, folder: &Path) {
    alternates(world, folder);
    fs::create_dir_all(folder.join("hooks")).unwrap();
    for name in ["post-index-change", "reference-transaction", "pre-push", "post-checkout", "pre-commit"] {
        fs::copy(world.path("hit"), folder.join("hooks").join(name)).unwrap();
    }
}

fn replaced(world: &World, folder: &Path) {
    alternates(world, folder);
    let head = world.git("checkout", &["rev-parse", "HEAD"]);
    fs::create_dir_all(folder.join("refs/replace")).unwrap();
    fs::write(folder.join("refs/replace").join(&head), head + "\n").unwrap();
}

fn git_file(world: &World, folder: &Path) {
    let hostile = folder.join("hostile");
    fs::create_dir_all(&hostile).unwrap();
    bare(world, &hostile);
    fs::write(folder.join(".git"), "gitdir: hostile\n").unwrap();
}

fn git_folder(world: &World, folder: &Path) {
    let hostile = folder.join(".git");
    fs::create_dir_all(&hostile).unwrap();
    bare(world, &hostile);
}

/// Whether a command reads the evidence's folder.
fn reads_evidence(command: &[&str]) -> bool {
    command.contains(&"--evidence")
}

#[test]
fn every_command_that_uses_git_is_in_the_table() {
    let world = World::new();
    let output = world.run(env!("CARGO_BIN_EXE_assay"), "checkout", &["help"]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    assert!(names.len() > 15, "{help}");
    for name in names {
        let known = WITHOUT_GIT.contains(&name) || COMMANDS.iter().any(|command| command[0] == name);
        assert!(known, "assay {name} is neither in COMMANDS nor in WITHOUT_GIT");
    }
}

#[test]
fn no_command_obeys_a_repository_that_a_commit_or_an_artifact_brought() {
    let clean = World::new();
    let due: Vec<Option<i32>> = COMMANDS.iter().map(|command| clean.assay(command).0).collect();
    assert_eq!(clean.hits(), "");
    let mut wrong = Vec::new();
    for hostile in REPOSITORIES {
        for place in PLACES {
            let world = World::new();
            (hostile.plant)(&world, &world.path("checkout").join(place));
            // git's own discovery falls for it: without that the table would prove nothing.
            world.run("git", &format!("checkout/{place}"), &["fetch", "origin"]);
            assert!(!world.hits().is_empty(), "{} in {place}: not even git itself runs its program", hostile.name);
            for (command, due) in COMMANDS.iter().zip(&due) {
                let (ended, said) = world.assay(command);
                let case = format!("{} in {place}: assay {}", hostile.name, command.join(" "));
                let hits = world.hits();
                if !hits.is_empty() {
                    wrong.push(format!("{case}: ran {hits}"));
                }
                let refused = match place {
                    // lint asks git at the checkout's top alone: a repository further down is nothing to it.
                    "ci" => hostile.holds_git && command[0] != "lint",
                    _ => reads_evidence(command),
                };
                // Nor is anything read that lies in a folder which git takes for a repository.
                let not_read = place == "ci" && ended == Some(1) && said.contains("so git takes it for a repository");
                if refused && ended == Some(0) {
                    wrong.push(format!("{case}: was not refused\n{said}"));
                } else if reads_evidence(command) && place != "ci" && !said.contains(place) {
                    wrong.push(format!("{case}: does not name the folder\n{said}"));
                } else if !refused && !reads_evidence(command) && ended != *due && !not_read {
                    wrong.push(format!("{case}: ended with {ended:?}, in a clean checkout with {due:?}\n{said}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A submodule whose folder an artifact filled with a repository of its own: git would look into it to see whether it was changed.
#[test]
fn a_submodules_folder_with_a_planted_repository_is_not_entered() {
    let world = World::new();
    let head = world.git("checkout", &["rev-parse", "HEAD"]);
    let link = format!("160000,{head},ci/packer/sub");
    world.git("checkout", &["update-index", "--add", "--cacheinfo", &link]);
    world.write("checkout/.gitmodules", "[submodule \"sub\"]\n\tpath = ci/packer/sub\n\turl = ../x\n");
    world.git("checkout", &["add", ".gitmodules"]);
    world.git("checkout", &["commit", "-qm", "a submodule"]);
    world.git("checkout", &["push", "-q"]);
    let sub = world.path("checkout/ci/packer/sub");
    fs::create_dir_all(&sub).unwrap();
    fs::write(sub.join("file"), "x").unwrap();
    let hit = world.path("hit").display().to_string();
    for arguments in
        [&["init", "-q"][..], &["add", "file"], &["commit", "-q", "-m", "planted"], &["config", "core.fsmonitor", &hit]]
    {
        world.git("checkout/ci/packer/sub", arguments);
    }
    world.run("git", "checkout", &["status"]);
    assert!(!world.hits().is_empty(), "git itself looks into it");
    for command in COMMANDS {
        world.assay(command);
        assert_eq!(world.hits(), "", "assay {}", command.join(" "));
    }
}

#[test]
fn lint_and_doctor_name_tracked_folders_that_look_like_repositories() {
    let world = World::new();
    bare(&world, &world.path("checkout/ci"));
    world.git("checkout", &["add", "-f", "ci"]);
    world.git("checkout", &["commit", "-qm", "hostile"]);
    let (ended, said) = world.assay(&["lint"]);
    assert_eq!(ended, Some(1), "{said}");
    assert!(said.contains("ci/: git tracks HEAD, objects and refs"), "{said}");
    let (_, said) = world.assay(&["doctor"]);
    assert!(said.contains("ci/: git run in this tracked folder takes it for a repository"), "{said}");
    assert_eq!(world.hits(), "");
}

/// Files of the machine that a pull request names: by path, by a tracked link, as suite, variables, user data, tests and assay.hcl itself.
#[test]
fn nothing_outside_of_the_repository_is_read_for_a_pull_request() {
    use std::os::unix::fs::symlink;
    const SECRET: &str = "hunter2-oauth";
    let world = World::new();
    world.write("home/secret.json", &format!("{{\"oauth_token\": \"{SECRET}\"}}\n"));
    world.write("home/secret.yaml", &format!("file:\n  /x: {{bogus: {SECRET}}}\n"));
    let secret = world.path("home/secret.json").display().to_string();
    symlink(world.path("home/secret.yaml"), world.path("checkout/ci/suites/out.yaml")).unwrap();
    symlink("/proc/self/environ", world.path("checkout/ci/suites/env.yaml")).unwrap();
    symlink(world.path("home"), world.path("checkout/ci/suites/folder")).unwrap();
    world.write("checkout/ci/suites/vars.yaml", "file:\n  /x: {exists: true, bogus: '{{ toJson .Vars }}'}\n");
    let config = |body: &str| {
        world.write("checkout/ci/assay.hcl", &format!("image \"base\" {{\n{body}\n}}\n"));
        world.assay(&["lint"])
    };
    let vars = format!("suites {{\n candidate = [\"suites/vars.yaml\"]\n vars = [\"{secret}\"]\n}}");
    let outside = format!("suites {{\n candidate = [\"{}\"]\n}}", world.path("home/secret.yaml").display());
    let user_data = format!("launch {{\n user_data_file = \"{secret}\"\n}}");
    for (body, words) in [
        (vars.as_str(), "cannot be read: it lies outside of"),
        (outside.as_str(), "cannot be read: it lies outside of"),
        (user_data.as_str(), "it lies outside of"),
        ("suites {\n candidate = [\"suites/out.yaml\"]\n}", "it lies outside of"),
        ("suites {\n candidate = [\"suites/folder/secret.yaml\"]\n}", "it lies outside of"),
        ("suites {\n candidate = [\"/proc/self/environ\"]\n}", "nothing in /proc is read"),
        (
            "suites {\n candidate = [\"suites/vars.yaml\"]\n vars = [\"/proc/self/environ\"]\n}",
            "nothing in /proc is read",
        ),
    ] {
        let (ended, said) = config(body);
        assert_eq!(ended, Some(1), "{body}: {said}");
        assert!(said.contains(words) && !said.contains(SECRET) && !said.contains("AKIA"), "{body}: {said}");
    }
    for path in ["ci/suites/out.yaml", "ci/suites/env.yaml", "ci/suites/folder/secret.yaml"] {
        let (ended, said) = world.assay(&["lint", path]);
        assert_eq!(ended, Some(1), "{path}: {said}");
        assert!(!said.contains(SECRET) && !said.contains("AKIA"), "{path}: {said}");
    }
    // What a person names may be anywhere, and its mistakes are told.
    let named = world.path("home/secret.yaml").display().to_string();
    assert!(world.assay(&["lint", &named]).1.contains(SECRET));
    // The command line may widen it; of what lies outside nothing is shown all the same.
    let home = world.path("home").display().to_string();
    config(&outside);
    let (_, said) = world.assay(&["lint", "--allow-path", &home]);
    assert!(said.contains("of which nothing is shown") && !said.contains(SECRET), "{said}");
    fs::remove_file(world.path("checkout/ci/assay.hcl")).unwrap();
    symlink(world.path("home/secret.yaml"), world.path("checkout/ci/assay.hcl")).unwrap();
    let (_, said) = world.assay(&["lint"]);
    assert!(said.contains("leads out of its repository") && !said.contains(SECRET), "{said}");
}

/// Templates: the environment by an allow-list, and only files that git tracks.
#[test]
fn a_template_sees_named_variables_and_tracked_files_only() {
    let world = World::new();
    let suite = |text: &str| {
        world.write("checkout/ci/suites/t.yaml", &format!("file:\n  /x: {{exists: true, title: '{text}'}}\n"))
    };
    let lint = || world.assay(&["lint", "ci/suites/t.yaml"]);
    world.write("checkout/ci/left.txt", "left");
    for (text, words) in [
        ("{{ env \"HOME\" }}", "is not given to templates"),
        ("{{ .Env.AWS_SECRET_ACCESS_KEY }}", "is not given to templates"),
        ("{{ readFile \"ci/left.txt\" }}", "git does not track it"),
        ("{{ readFile \".git/config\" }}", "credentials"),
    ] {
        suite(text);
        let (ended, said) = lint();
        assert_eq!(ended, Some(1), "{text}: {said}");
        assert!(said.contains(words), "{text}: {said}");
    }
    suite("{{ readFile \"ci/packer/base.pkr.hcl\" }}{{ env \"CIRCLE_SHA1\" }}");
    assert_eq!(lint().0, Some(0), "{}", lint().1);
    suite("{{ env \"HOME\" }}");
    let (ended, said) = world.assay(&["lint", "ci/suites/t.yaml", "--env", "HOME"]);
    assert_eq!(ended, Some(0), "{said}");
    suite("{{ env \"AWS_SECRET_ACCESS_KEY\" }}");
    let (ended, said) = world.assay(&["lint", "ci/suites/t.yaml", "--env", "AWS_SECRET_ACCESS_KEY"]);
    assert!(ended == Some(1) && said.contains("looks like a secret"), "{said}");
}
