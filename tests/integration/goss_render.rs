//! Templates against goss's own binary: the goldens that the unit tests compare with are what this goss prints, and the
//! same files pass `assay lint`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::tools;

const ENV: (&str, &str) = ("ASSAY_EXAMPLE", "from the environment");
const PREFIX: &str = "DEBUG: file after text/template render\n";

fn fixtures() -> PathBuf {
    tools::root().join("tests/fixtures/goss/templates")
}

fn templates() -> Vec<String> {
    let names = std::fs::read_dir(fixtures()).expect("the fixtures").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.ends_with(".yaml") && !name.starts_with("vars"));
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    names
}

fn vars(name: &str) -> &'static str {
    if name == "json.yaml" { "vars.json" } else { "vars.yaml" }
}

fn goss(name: &str, more: &[&str]) -> String {
    let mut command = Command::new(tools::goss());
    command.current_dir(fixtures()).env_clear().env(ENV.0, ENV.1);
    let output = command.args(["--vars", vars(name), "-g", name, "render"]).args(more).output().expect("goss runs");
    assert!(output.status.success(), "goss render {name}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn lint(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(tools::assay());
    command.env(ENV.0, ENV.1).env("DEPLOY_TOKEN", "hunter2-in-the-environment");
    command.current_dir(folder).arg("lint").args(arguments).output().expect("assay runs")
}

#[test]
fn goss_renders_the_goldens() {
    for name in templates() {
        // With --debug goss prints the rendered text, a line feed, and then what it prints without.
        let (plain, debug) = (goss(&name, &[]), goss(&name, &["--debug"]));
        let text = debug.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(&format!("\n{plain}")));
        let golden = fixtures().join(name.replace(".yaml", ".golden"));
        let expected = std::fs::read_to_string(&golden).expect("the golden");
        assert_eq!(text, Some(expected.as_str()), "{}", golden.display());
    }
}

#[test]
fn the_same_files_are_right_for_assay() {
    for name in templates() {
        let output = lint(&fixtures(), &[&name, "--vars", vars(&name), "--env", ENV.0, "--env", "ASSAY_NONE"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_suite_cannot_print_the_pipelines_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    for template in [
        "{{ .Env.DEPLOY_TOKEN }}",
        "{{ getEnv \"DEPLOY_TOKEN\" }}",
        "{{ range $k, $v := .Env }}{{ $v }} {{ end }}{{ fail \"seen\" }}",
    ] {
        let suite = format!("user:\n  root:\n    exists: true\n    title: '{template}'\n");
        std::fs::write(folder.path().join("goss.yaml"), suite).expect("written");
        let output = lint(folder.path(), &["goss.yaml"]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("goss.yaml:4:"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn variables_reach_a_suite_from_every_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("goss.yaml", "port:\n  tcp:{{ .Vars.port }}: {listening: {{ .Vars.open }}}\n");
    write("vars.yaml", "port: 22\n");
    write(
        "assay.hcl",
        "image \"base\" {\n  suites {\n    candidate   = [\"goss.yaml\"]\n    vars        = [\"vars.yaml\"]\n    vars_inline = \"{open: true}\"\n  }\n}\n",
    );
    assert_eq!(lint(folder.path(), &[]).status.code(), Some(0), "by assay.hcl");
    let by_flags = lint(folder.path(), &["goss.yaml", "--vars", "vars.yaml", "--vars-inline", "open: true"]);
    assert_eq!(by_flags.status.code(), Some(0), "by flags: {by_flags:?}");
    let missing = lint(folder.path(), &["goss.yaml", "--vars", "vars.yaml"]);
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(missing.status.code() == Some(1) && said.contains("there is no entry \"open\""), "{said}");
}
