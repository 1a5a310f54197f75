//! Which repository is found, against real git: folders of every kind, foreign owners, planted repositories and settings.

use std::fs;

use super::*;
use crate::world::GitWorld;

async fn of(world: &GitWorld, folder: &str) -> Result<CheckoutLocation, String> {
    CheckoutLocation::of(&world.path(folder), &world.environment).await.map_err(|error| error.to_string())
}

async fn top(world: &GitWorld, folder: &str) -> String {
    let location = of(world, folder).await.expect(folder);
    let root = world.folder.path().canonicalize().expect("a path");
    location.top().strip_prefix(root).expect("in the world").display().to_string()
}

/// What makes a bare repository of a folder, with a setting that runs a program.
fn embed(world: &GitWorld, folder: &str) {
    for name in ["objects", "refs"] {
        fs::create_dir_all(world.path(folder).join(name)).expect("a folder");
        fs::write(world.path(folder).join(name).join(".keep"), "").expect("written");
    }
    world.write(&format!("{folder}/HEAD"), "ref: refs/heads/main\n");
    world.write(&format!("{folder}/config"), "[core]\n\trepositoryFormatVersion = 0\n\tbare = false\n\tworktree = .\n");
}

#[tokio::test]
async fn the_first_git_folder_or_file_above_counts_and_nothing_else() {
    let world = GitWorld::new();
    embed(&world, "clone/packer");
    assert_eq!(top(&world, "clone/packer").await, "clone");
    assert_eq!(
        of(&world, "clone/packer").await.expect("found").prefix(&world.path("clone/packer")).as_deref(),
        Ok("packer/")
    );
    world.git("clone", &["worktree", "add", "-q", "--detach", "../linked"]);
    assert_eq!(top(&world, "linked/packer").await, "linked");
    world.git("clone", &["worktree", "add", "-q", "--detach", "below"]);
    assert_eq!(top(&world, "clone/below/packer").await, "clone/below");
    world.git("clone", &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../remote.git", "sub"]);
    assert_eq!(top(&world, "clone/sub/packer").await, "clone/sub");
    std::os::unix::fs::symlink(world.path("linked/packer"), world.path("clone/away")).expect("a link");
    assert_eq!(top(&world, "clone/away").await, "linked");
    // A clone in a folder that another checkout does not track.
    world.git(".", &["clone", "-q", "remote.git", "clone/vendor"]);
    assert_eq!(top(&world, "clone/vendor/packer").await, "clone/vendor");

    fs::create_dir(world.path("plain")).expect("a folder");
    embed(&world, "plain");
    for folder in ["plain", "remote.git", "home"] {
        let why = of(&world, folder).await.expect_err(folder);
        assert!(why.contains("not in a git repository"), "{folder}: {why}");
    }
}

#[tokio::test]
async fn a_repository_that_was_put_into_a_tracked_folder_is_refused() {
    for kind in ["folder", "file"] {
        let world = GitWorld::new();
        world.git(".", &["init", "-q", "hostile"]);
        match kind {
            "folder" => fs::rename(world.path("hostile/.git"), world.path("clone/packer/.git")).expect("moved"),
            _ => world.write("clone/packer/.git", "gitdir: ../../hostile/.git\n"),
        }
        let why = of(&world, "clone/packer").await.expect_err(kind);
        assert!(why.contains("packer/.git") && why.contains("tracks files in this folder"), "{why}");
        assert_eq!(top(&world, "clone").await, "clone");
    }
}

#[tokio::test]
async fn settings_from_a_file_that_is_tracked_are_refused_and_others_hold() {
    let world = GitWorld::new();
    world.write("clone/.gitconfig", "[alias]\n\tst = status\n[core]\n\tautocrlf = input\n");
    world.git("clone", &["config", "include.path", "../.gitconfig"]);
    world.git("clone", &["add", ".gitconfig"]);
    assert_eq!(top(&world, "clone").await, "clone");
    world.write("clone/.gitconfig", "[core]\n\tsshCommand = false\n");
    let why = of(&world, "clone").await.expect_err("a program");
    assert!(
        why.contains("clone/.gitconfig") && why.contains("core.sshcommand") && why.contains("include.path"),
        "{why}"
    );
    // A home in the checkout, as some CI systems have it: nobody committed the file.
    world.git("clone", &["rm", "-q", "-f", "--cached", ".gitconfig"]);
    assert_eq!(top(&world, "clone").await, "clone");
}

#[tokio::test]
async fn a_checkout_of_another_user_is_refused_unless_git_is_told_that_it_is_safe() {
    let world = GitWorld::new();
    for path in [world.path("clone"), world.path("clone/.git")] {
        std::os::unix::fs::chown(&path, Some(4242), Some(4242)).expect("root gives files away");
    }
    let why = of(&world, "clone").await.expect_err("another user's");
    assert!(why.contains("dubious ownership") && why.contains("safe.directory"), "{why}");
    let safe = world.path("clone").canonicalize().expect("a path").display().to_string();
    world.git(".", &["config", "--global", "--add", "safe.directory", &safe]);
    assert_eq!(top(&world, "clone").await, "clone");
}

#[tokio::test]
async fn evidence_beside_what_git_takes_for_a_repository_is_refused() {
    use crate::is_tracked;
    use assay_model::cause::chain;
    let asked = async |world: &GitWorld, file: &str| {
        let answer = is_tracked(&world.path(file), &world.path("clone"), &world.environment).await;
        answer.map_err(|error| chain(&error))
    };
    let world = GitWorld::new();
    fs::create_dir_all(world.path("clone/build/reports")).expect("a folder");
    world.write("clone/build/reports/evidence.json", "{}");
    assert_eq!(asked(&world, "clone/build/reports/evidence.json").await, Ok(false));
    world.git("clone", &["add", "build"]);
    assert_eq!(asked(&world, "clone/build/reports/evidence.json").await, Ok(true));
    fs::create_dir(world.path("out")).expect("a folder");
    std::os::unix::fs::symlink("../clone/build/reports/evidence.json", world.path("out/link.json")).expect("a link");
    assert_eq!(asked(&world, "out/link.json").await, Ok(true));
    world.write("out/evidence.json", "{}");
    assert_eq!(asked(&world, "out/evidence.json").await, Ok(false));
    world.git(".", &["clone", "-q", "remote.git", "other"]);
    let why = asked(&world, "other/README.md").await.expect_err("another repository");
    assert!(why.contains(".git in it"), "{why}");
    for folder in ["clone/build/reports", "clone/build", "out"] {
        let world = GitWorld::new();
        fs::create_dir_all(world.path("clone/build/reports")).expect("a folder");
        fs::create_dir(world.path("out")).expect("a folder");
        let file = if folder == "out" { "out/evidence.json" } else { "clone/build/reports/evidence.json" };
        world.write(file, "{}");
        embed(&world, folder);
        let why = asked(&world, file).await.expect_err(folder);
        assert!(why.contains("HEAD, objects and refs") && why.contains(folder), "{why}");
    }
}

#[tokio::test]
async fn the_servers_replacements_of_objects_are_not_followed() {
    let world = GitWorld::new();
    world.write("clone/README.md", "replaced\n");
    world.git("clone", &["commit", "-qam", "other"]);
    world.git("clone", &["replace", "HEAD~1", "HEAD"]);
    assert_eq!(world.git("clone", &["show", "HEAD~1:README.md"]), "replaced", "git itself follows it");
    let git = of(&world, "clone").await.expect("found").git(&world.environment);
    assert_eq!(git.text(&["show", "HEAD~1:README.md"]).await.as_deref(), Ok("images"));
}

#[test]
fn tracked_folders_that_look_like_repositories_are_named() {
    let paths = ["ci/HEAD", "ci/objects/.keep", "ci/refs/.keep", "ci/assay.hcl", "docs/HEAD", "x/head", "x/commondir"];
    assert_eq!(repository_like_paths(paths.into_iter()), ["ci/", "x/"]);
    assert_eq!(repository_like_paths(["HEAD", "objects", "refs/heads/x"].into_iter()), ["./"]);
}

/// Every call is bound to a repository: outside of `git.rs` nothing starts git, and nothing but the search in `location.rs` leaves it to git which one that is.
#[test]
fn no_source_file_leaves_the_repository_to_gits_own_discovery() {
    fn walk(folder: &Path, each: &mut impl FnMut(&Path, &str)) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, each);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                each(&path, &fs::read_to_string(&path).expect("text"));
            }
        }
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    let mut look = |path: &Path, text: &str| {
        let name = path.strip_prefix(&workspace).expect("below").display().to_string();
        // Tests build their worlds with git as people do.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if name.contains("tests") || name.ends_with("world.rs") || name.ends_with("location_tests.rs") {
            return;
        }
        for words in [
            "Command::new(\"git\")",
            "in_top_folder(",
            "--show-toplevel",
            "--show-prefix",
            "--show-cdup",
            "\"--git-dir\"",
        ] {
            found.extend(code.matches(words).map(|_| format!("{name}: {words}")));
        }
    };
    for folder in ["src", "crates"] {
        walk(&workspace.join(folder), &mut look);
    }
    found.sort();
    let due = [
        "crates/assay-ledger/src/git.rs: Command::new(\"git\")",
        "crates/assay-ledger/src/git.rs: in_top_folder(",
        "crates/assay-ledger/src/git.rs: in_top_folder(",
        "crates/assay-ledger/src/location.rs: \"--git-dir\"",
        "crates/assay-ledger/src/location.rs: in_top_folder(",
    ];
    assert_eq!(found, due);
}
