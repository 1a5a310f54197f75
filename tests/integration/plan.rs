//! `assay plan` from outside: the real program on real repositories. No cloud is there to be asked.

use assay_model::ImageState;
use serde_json::Value;

use crate::support::desk::{Build, Desk, record, run};

const BASE: &str = "image \"base\" {\n  inputs  = [\"packer/**\"]\n  max_age = \"7d\"\n  projection \"packer/gold.pkrvars.hcl\" {\n    variable = \"ami\"\n  }\n}\n";
const FAMILY: &str = "image \"web\" {\n  inputs = [\"web/**\"]\n  parent = \"base\"\n}\nimage \"base\" {\n  inputs = [\"packer/**\"]\n}\n";

fn base() -> Desk {
    Desk::new(BASE, &[("packer/base.pkr.hcl", "# template\n"), ("packer/gold.pkrvars.hcl", "ami = \"\"\n")])
}

fn family() -> Desk {
    Desk::new(FAMILY, &[("packer/base.pkr.hcl", "# base\n"), ("web/web.pkr.hcl", "# web\n")])
}

/// One image of a plan.
fn image<'a>(plan: &'a Value, name: &str) -> &'a Value {
    let images = plan["images"].as_array().expect("a list");
    images.iter().find(|image| image["image"] == name).unwrap_or_else(|| panic!("{name} in {plan}"))
}

fn names(image: &Value) -> Vec<&str> {
    image["reasons"].as_array().expect("a list").iter().map(|r| r["reason"].as_str().expect("a name")).collect()
}

/// Asserts what a plan says of `base`.
#[track_caller]
fn says(desk: &Desk, arguments: &[&str], due: bool, reasons: &[&str], exit: i32) -> Value {
    let (plan, code) = desk.json(&[&["plan"], arguments].concat());
    let base = image(&plan, "base");
    assert_eq!((base["due"].as_bool(), names(base), code), (Some(due), reasons.to_vec(), exit), "{plan:#}");
    base.clone()
}

fn digest(desk: &Desk, name: &str) -> String {
    let (plan, _) = desk.json(&["plan", "--no-fetch"]);
    image(&plan, name)["source_digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn one_image_from_its_first_build_to_nothing_due() {
    let desk = base();
    says(&desk, &[], true, &["never-built"], 0);

    // A pull request: its candidate is committed to the branch, and the new tip builds nothing.
    desk.git(&["switch", "-q", "-c", "feature"]);
    let build = Build::new("base", 1, &digest(&desk, "base"), 0);
    desk.candidate(&build, ImageState::Candidate);
    desk.push("Candidate");
    let found = says(&desk, &[], false, &["candidate-exists"], 0);
    assert_eq!(found["newest"]["run"], run(1).to_string().as_str());
    assert_eq!(found["newest"]["state"], "candidate");

    // A job that runs again on the commit before sees what was pushed.
    desk.git(&["checkout", "-q", "--detach", "HEAD~1"]);
    let mut again = desk.command(&["plan"]);
    let output = again.env("CIRCLE_BRANCH", "feature").output().expect("runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing is due"), "{output:?}");
    let output = desk.command(&["plan", "--no-fetch"]).output().expect("runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("it was never built"), "{output:?}");

    // Merged and promoted.
    desk.git(&["switch", "-q", "main"]);
    desk.git(&["merge", "-q", "--ff-only", "feature"]);
    desk.git(&["rm", "-q", "-r", "images/base"]);
    desk.lock("base", &[(&build, ImageState::Vetted, 0), (&build, ImageState::Gold, 0)]);
    desk.push("Gold");
    says(&desk, &[], false, &["gold-is-current"], 0);
    let text = String::from_utf8(desk.assay(&["plan"]).stdout).expect("UTF-8");
    assert_eq!(text, format!("base  not due  gold {} is current\nnothing is due\n", run(1)));

    // What assay writes, and what is no input, is no change.
    desk.write("packer/gold.pkrvars.hcl", "ami = \"ami-1\"\n");
    desk.write("images/base/note", "x\n");
    desk.write("README.md", "x\n");
    desk.push("No input");
    says(&desk, &[], false, &["gold-is-current"], 0);
    says(&desk, &["--force", "base"], true, &["forced"], 0);

    // Edited, committed or not, is one.
    desk.write("packer/base.pkr.hcl", "# edited\n");
    says(&desk, &[], true, &["inputs-changed"], 0);
    desk.git(&["add", "-A"]);
    desk.git(&["commit", "-q", "-m", "Edited"]);
    says(&desk, &[], true, &["inputs-changed"], 0);
}

#[test]
fn age_rejection_missing_verdict_and_rollback() {
    let desk = base();
    let now = digest(&desk, "base");
    let old = Build::new("base", 1, &now, 9);
    desk.lock("base", &[(&old, ImageState::Vetted, 9), (&old, ImageState::Gold, 9)]);
    desk.push("Gold");
    says(&desk, &[], true, &["too-old"], 0);
    says(&desk, &["--max-age", "30d"], false, &["gold-is-current"], 0);
    says(&desk, &["--max-age", "36h"], true, &["too-old"], 0);

    let rejected = Build::new("base", 2, &now, 1);
    desk.candidate(&rejected, ImageState::Rejected);
    desk.push("Rejected");
    says(&desk, &[], false, &["rejected"], 2);
    says(&desk, &["--force", "base"], true, &["forced"], 0);

    let untested = Build::new("base", 3, &now, 0);
    desk.candidate(&untested, ImageState::Untested);
    desk.push("No verdict");
    says(&desk, &[], true, &["untested"], 0);

    // A new gold of other inputs, rolled back to the old one.
    desk.write("packer/base.pkr.hcl", "# newer\n");
    let newer = Build::new("base", 4, &digest(&desk, "base"), 0);
    let moves = [
        (&old, ImageState::Vetted, 9),
        (&old, ImageState::Gold, 9),
        (&newer, ImageState::Vetted, 0),
        (&newer, ImageState::Gold, 0),
        (&old, ImageState::Retired, 0),
    ];
    desk.lock("base", &moves);
    desk.push("Newer");
    says(&desk, &[], false, &["gold-is-current"], 0);
    let rollback = [&moves[..], &[(&old, ImageState::Gold, 0), (&newer, ImageState::Retired, 0)]].concat();
    desk.lock("base", &rollback);
    desk.push("Rollback");
    let found = says(&desk, &[], false, &["set-aside"], 2);
    assert!(found["reasons"][0]["message"].as_str().expect("words").contains("--force"));
}

#[test]
fn a_branch_behind_main_builds_nothing_that_it_did_not_change() {
    let desk = base();
    let first = Build::new("base", 1, &digest(&desk, "base"), 1);
    desk.lock("base", &[(&first, ImageState::Vetted, 1), (&first, ImageState::Gold, 1)]);
    desk.push("Gold");
    desk.git(&["switch", "-q", "-c", "docs"]);
    desk.write("README.md", "x\n");
    desk.push("Only words");
    desk.git(&["switch", "-q", "main"]);
    desk.write("packer/base.pkr.hcl", "# newer\n");
    let newer = Build::new("base", 2, &digest(&desk, "base"), 0);
    let moves = [
        (&first, ImageState::Vetted, 1),
        (&first, ImageState::Gold, 1),
        (&newer, ImageState::Vetted, 0),
        (&newer, ImageState::Gold, 0),
        (&first, ImageState::Retired, 0),
    ];
    desk.lock("base", &moves);
    desk.push("Newer gold");
    desk.git(&["switch", "-q", "docs"]);
    says(&desk, &[], false, &["branch-is-behind"], 0);
    desk.write("packer/base.pkr.hcl", "# of the branch\n");
    says(&desk, &[], true, &["inputs-changed"], 0);
}

#[test]
fn two_images_in_order_and_the_child_follows_its_parent() {
    let desk = family();
    let (plan, code) = desk.json(&["plan"]);
    let images = plan["images"].as_array().expect("a list");
    let order: Vec<&str> = images.iter().filter_map(|image| image["image"].as_str()).collect();
    assert_eq!((order, code), (vec!["base", "web"], 0), "parents first");
    assert_eq!((&image(&plan, "web")["due"], &image(&plan, "web")["waits_for"]), (&false.into(), &"base".into()));

    let base = Build::new("base", 1, &digest(&desk, "base"), 2);
    desk.lock("base", &[(&base, ImageState::Vetted, 2), (&base, ImageState::Gold, 2)]);
    desk.push("Gold base");
    let (plan, _) = desk.json(&["plan", "--image", "web"]);
    assert_eq!(plan["images"].as_array().expect("a list").len(), 1);
    assert_eq!((names(image(&plan, "web")), &image(&plan, "web")["due"]), (vec!["never-built"], &true.into()));

    let web = Build::new("web", 2, &digest(&desk, "web"), 1).on(&base.amis[0]);
    desk.lock("web", &[(&web, ImageState::Vetted, 1), (&web, ImageState::Gold, 1)]);
    desk.push("Gold web");
    let (plan, _) = desk.json(&["plan"]);
    assert_eq!(names(image(&plan, "web")), ["gold-is-current"]);

    let next = Build::new("base", 3, &digest(&desk, "base"), 0);
    let moves = [
        (&base, ImageState::Vetted, 2),
        (&base, ImageState::Gold, 2),
        (&next, ImageState::Vetted, 0),
        (&next, ImageState::Gold, 0),
    ];
    desk.lock("base", &[&moves[..], &[(&base, ImageState::Retired, 0)]].concat());
    desk.push("The next base");
    let (plan, _) = desk.json(&["plan"]);
    assert_eq!(names(image(&plan, "base")), ["gold-is-current"]);
    assert_eq!((names(image(&plan, "web")), &image(&plan, "web")["due"]), (vec!["parent-moved"], &true.into()));

    desk.candidate(&Build::new("web", 4, &digest(&desk, "web"), 0).on(&record(3)), ImageState::Candidate);
    desk.push("Rebuilt on it");
    let (plan, _) = desk.json(&["plan"]);
    assert_eq!(names(image(&plan, "web")), ["candidate-exists"]);
}

#[test]
fn mistakes_are_named_all_at_once_with_file_and_line() {
    let desk = Desk::new(
        "image \"a\" {\n  parent = \"b\"\n}\nimage \"b\" {\n  parent = \"a\"\n}\nimage \"c\" {\n  parent = \"bb\"\n}\n",
        &[],
    );
    let output = desk.assay(&["plan"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("assay.hcl:1: image \"a\": parent: images cannot be built on each other in a circle"),
        "{said}"
    );
    assert!(said.contains("assay.hcl:7: image \"c\": parent: there is no image \"bb\" in this file"), "{said}");

    let desk = Desk::new("image \"base\" {\n  inputs = [\"nowhere/**\"]\n}\n", &[]);
    let output = desk.assay(&["plan"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("assay.hcl:2: image \"base\": inputs: none of the inputs matches a tracked file"), "{said}");
    let output = desk.assay(&["plan", "--image", "bsae", "--force", "x"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("did you mean \"base\"?") && said.contains("--force"), "{said}");
}

#[test]
fn a_remote_that_does_not_answer_is_no_plan_unless_it_is_not_asked() {
    let desk = base();
    desk.git(&["remote", "set-url", "origin", "/nonexistent/remote.git"]);
    let output = desk.assay(&["plan"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    says(&desk, &["--no-fetch"], true, &["never-built"], 0);
    desk.git(&["remote", "remove", "origin"]);
    says(&desk, &[], true, &["never-built"], 0);
}
