//! Tests of goss files with others in them: what is merged, in which order, from which file, and every refusal.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{SourceDiagnostic, Suite, VarSources, load_with};
use assay_model::Digest;

struct Folder(TempDir);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        for (name, text) in files {
            let path = folder.0.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        folder
    }

    fn load(&self, path: &str, vars: &str) -> Result<Suite, Vec<SourceDiagnostic>> {
        let vars = VarSources { inline: Some(vars.to_owned()), ..VarSources::default() };
        let mut suites = load_with(&[path.into()], self.0.path(), &vars)?;
        assert_eq!(suites.len(), 1);
        Ok(suites.remove(0))
    }

    fn suite(&self, path: &str) -> Suite {
        self.load(path, "{}").unwrap_or_else(|mistakes| panic!("{}", told(&mistakes)))
    }

    fn told(&self, path: &str, vars: &str) -> String {
        let text = told(&self.load(path, vars).expect_err("it is wrong"));
        text.replace(&self.0.path().canonicalize().expect("a path").display().to_string(), "FOLDER")
            .replace(&self.0.path().display().to_string(), "FOLDER")
    }
}

fn told(mistakes: &[SourceDiagnostic]) -> String {
    mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
}

fn places(suite: &Suite) -> Vec<(String, Option<PathBuf>, u32)> {
    suite.checks.iter().map(|check| (check.id.clone(), check.path.clone(), check.line)).collect()
}

const USER: &str = "user:\n  NAME: {exists: true}\n";

#[test]
fn files_are_merged_with_the_place_of_each_check() {
    let folder = Folder::of(&[
        (
            "suites/goss.yaml",
            "gossfile:\n  zz: {file: common/last.yaml}\n  common/[ab].yaml: {}\n  off.yaml: {skip: true}\nuser:\n  root: {exists: true}\n",
        ),
        ("suites/common/a.yaml", &USER.replace("NAME", "a")),
        (
            "suites/common/b.yaml",
            "{{ range .Vars.names }}\nuser:\n  {{ . }}:\n    exists: true\n{{ end }}gossfile: {../deep.json: {}}\n",
        ),
        ("suites/deep.json", "{\n\"user\": {\n\"deep\": {\"exists\": true}}}"),
        ("suites/common/last.yaml", "# again\ngossfile: {../deep.json: {}}\n\nuser:\n  last: {exists: true}\n"),
        ("suites/off.yaml", "not read at all: ["),
    ]);
    let suite = folder.load("suites/goss.yaml", "names: [b]").unwrap_or_else(|wrong| panic!("{}", told(&wrong)));
    let at = |path: &str| Some(PathBuf::from(path));
    assert_eq!(
        places(&suite),
        [
            ("root".to_owned(), None, 6),
            ("a".to_owned(), at("suites/common/a.yaml"), 2),
            ("b".to_owned(), at("suites/common/b.yaml"), 3),
            ("deep".to_owned(), at("suites/deep.json"), 3),
            ("last".to_owned(), at("suites/common/last.yaml"), 5),
        ]
    );
    assert_eq!((suite.name.as_str(), suite.path.as_path()), ("goss", Path::new("suites/goss.yaml")));
}

#[test]
fn a_file_that_only_includes_is_a_suite() {
    let folder = Folder::of(&[("goss.yml", "gossfile: {a.yaml: }"), ("a.yaml", &USER.replace("NAME", "a"))]);
    assert_eq!(places(&folder.suite("goss.yml")), [("a".to_owned(), Some("a.yaml".into()), 2)]);
}

#[test]
fn what_two_files_say_alike_is_checked_once() {
    let folder = Folder::of(&[
        ("goss.yaml", "gossfile: {a.yaml: {}, b.yaml: {}}\nuser:\n  a: {exists: true, title: mine}\n"),
        ("a.yaml", &USER.replace("NAME", "a")),
        ("b.yaml", "\n\nuser:\n  a: {exists: true, meta: {from: b}}\n  b: {exists: true}\n"),
        ("other.yaml", "gossfile: {a.yaml: {}}\nuser:\n  a: {exists: true, skip: true}\n"),
    ]);
    let made = [("a".to_owned(), None, 3), ("b".to_owned(), Some("b.yaml".into()), 5)];
    assert_eq!(places(&folder.suite("goss.yaml")), made);
}

#[test]
fn the_file_that_is_read_later_has_the_last_word() {
    let folder = Folder::of(&[
        ("goss.yaml", "user:\n  a: {exists: true, uid: 1}\n  z: {exists: true}\ngossfile: {a.yaml: {}, b.yaml: {}}\n"),
        ("a.yaml", "user:\n  a: {exists: true}\n  c: {exists: true}\n"),
        ("b.yaml", "\nuser:\n  c: {exists: false}\n"),
    ]);
    let suite = folder.suite("goss.yaml");
    let made = [
        ("a".to_owned(), Some("a.yaml".into()), 2),
        ("z".to_owned(), None, 3),
        ("c".to_owned(), Some("b.yaml".into()), 3),
    ];
    assert_eq!(places(&suite), made);
    assert_eq!(suite.checks[0].properties.len(), 1, "the whole resource is replaced, as in goss");
}

#[test]
fn what_decides_the_outcome_is_in_the_digest() {
    let make = |included: &str, read: &str| {
        Folder::of(&[
            ("plain.yaml", &USER.replace("NAME", "x")),
            (
                "t.yaml",
                "gossfile: {i.yaml: {}}\nuser:\n  u{{ .Vars.n }}: {exists: true, title: '{{ readFile \"r.txt\" }}'}\n",
            ),
            ("i.yaml", &USER.replace("NAME", included)),
            ("r.txt", read),
        ])
    };
    let digest = |folder: &Folder, vars: &str| folder.load("t.yaml", vars).expect("it is right").digest;
    let base = digest(&make("i", "r"), "n: 1");
    assert_eq!(base, digest(&make("i", "r"), "n: 1"), "the same everywhere");
    assert_ne!(base, digest(&make("i", "r"), "n: 2"));
    assert_ne!(base, digest(&make("j", "r"), "n: 1"));
    assert_ne!(base, digest(&make("i", "s"), "n: 1"));
    let plain = make("i", "r").suite("plain.yaml");
    assert_eq!(plain.digest, Digest::of(USER.replace("NAME", "x").as_bytes()));
}

#[test]
fn every_refusal() {
    let folder = Folder::of(&[
        ("cycle.yaml", "user: {x: {exists: true}}\ngossfile:\n  sub/back.yaml: {}\n"),
        ("sub/back.yaml", "gossfile:\n  ../cycle.yaml: {}\n"),
        ("a.yaml", &USER.replace("NAME", "a")),
        ("b.yaml", "\n\nuser:\n  '{{ \"a\" }}':\n    exists: true\n"),
        ("none.yaml", "gossfile:\n  no/*.yaml: {}\n  x: {fiel: y, skip: 1}\n  '[': {}\n"),
        ("out.yaml", "gossfile:\n  /etc/hosts: {}\n  .git/config: {}\n"),
        (".git/config", "secret"),
        ("empty.yaml", "{{ if .Vars.no }}user: {a: {exists: true}}{{ end }}\n"),
    ]);
    let all: String = ["cycle.yaml", "none.yaml", "out.yaml", "empty.yaml"]
        .iter()
        .map(|path| format!("== {path}\n{}", folder.told(path, "no: false")))
        .collect();
    insta::assert_snapshot!(all);
}

#[test]
fn mistakes_in_rendered_text_are_told_of_the_source() {
    let folder = Folder::of(&[
        ("list.yaml", "user:\n{{- range .Vars.users }}\n  {{ . }}:\n    exits: true\n{{- end }}\n"),
        ("broken.yaml", "user:\n  root:\n    exists: {{ .Vars.value }}\n"),
        ("plain.yaml", "{{ $x := 1 }}\nuser:\n  root: {exists: [true}\n"),
        ("mode.yaml", "file:\n  /x:\n    mode: {{ .Vars.value }}\n    {{ .Vars.users | first }}: 1\n"),
    ]);
    let all: String = ["list.yaml", "broken.yaml", "plain.yaml", "mode.yaml"]
        .iter()
        .map(|path| format!("== {path}\n{}", folder.told(path, "{users: [a, b], value: '[1'}")))
        .collect();
    insta::assert_snapshot!(all);
}

#[test]
fn a_chain_of_fifty_files_ends() {
    let files: Vec<(String, String)> = (0..60)
        .map(|n| {
            (format!("{n}.yaml"), format!("gossfile: {{{}.yaml: {{}}}}\nuser: {{u{n}: {{exists: true}}}}\n", n + 1))
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let told = Folder::of(&files).told("0.yaml", "{}");
    assert!(told.contains("49.yaml:1:") && told.contains("nested more than 50 deep"), "{told}");
}

#[test]
fn a_file_that_is_included_twice_has_the_last_word_where_it_is_last() {
    let owner = |name: &str| format!("file:\n  /etc/passwd: {{exists: true, owner: {name}}}\n");
    let folder = Folder::of(&[
        ("main.yaml", "gossfile:\n  10: {file: base.yaml}\n  20: {file: over.yaml}\n  30: {file: more.yaml}\n"),
        ("base.yaml", &owner("nobody")),
        ("over.yaml", &owner("root")),
        ("more.yaml", "gossfile: {base.yaml: {}}\nfile: {/etc/group: {exists: true}}\n"),
    ]);
    let suite = folder.suite("main.yaml");
    let check = suite.checks.iter().find(|check| check.id == "/etc/passwd").expect("it is there");
    assert_eq!(check.properties[1].matcher, crate::Matcher::Equal("nobody".into()));
    assert_eq!(suite.checks.len(), 2, "each check once");
}

#[test]
fn what_a_template_changes_in_the_variables_the_included_files_see() {
    let folder = Folder::of(&[
        ("main.yaml", "{{ $_ := set .Vars \"name\" \"new\" }}gossfile: {user.yaml: {}}\n"),
        ("user.yaml", "user:\n  {{ .Vars.name }}: {exists: true}\n"),
    ]);
    let suite = folder.load("main.yaml", "{name: old}").unwrap_or_else(|mistakes| panic!("{}", told(&mistakes)));
    assert_eq!(suite.checks[0].id, "new");
}

#[test]
fn the_outermost_file_says_what_numbers_are() {
    let json = r#"{"user": {"root": {"exists": true, "uid": {"equal": 0}}}}"#;
    let folder = Folder::of(&[
        ("main.yaml", "gossfile: {j.json: {}}\n"),
        ("main.json", "{\"gossfile\": {\"y.yaml\": {}}}"),
        ("j.json", json),
        ("y.yaml", json),
    ]);
    let wanted = |path: &str| folder.suite(path).checks[0].properties[1].matcher.clone();
    assert_eq!(wanted("main.yaml"), crate::Matcher::SameAs(0.into()));
    assert_eq!(wanted("main.json"), crate::Matcher::SameAs(0.0.into()));
}

#[test]
fn an_included_file_is_gosss_whatever_its_name() {
    let folder = Folder::of(&[
        ("main.yaml", "gossfile: {x.hcl: {}}\n"),
        ("x.hcl", "file: {/x: {exists: true, mode: \"644\"}}\n"),
    ]);
    let matcher = folder.suite("main.yaml").checks[0].properties[1].matcher.clone();
    assert_eq!(matcher, crate::Matcher::Equal("644".into()));
}
