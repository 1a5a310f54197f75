//! What goss files of other people do that is easily refused by mistake: anchors at the top, empty resources, texts
//! without quotes, homes.

use std::path::Path;

use super::super::{Suite, load};

fn suite(text: &str) -> Result<Suite, String> {
    let read = load::read(Path::new("x.yaml"), text.as_bytes());
    let titles = |mistakes: Vec<_>| {
        let titles: Vec<String> =
            mistakes.into_iter().map(|mistake: super::super::diagnostic::SourceDiagnostic| mistake.title).collect();
        titles.join("; ")
    };
    read.map(|mut suites| suites.remove(0)).map_err(titles)
}

#[test]
fn a_name_at_the_top_may_hold_anchors() {
    let merged = "agent_versions: &agent_versions\n  versions:\n    or: [\"1\", \"2\"]\n\
                  package:\n  agent:\n    installed: true\n    <<: *agent_versions\n";
    let read = suite(merged).expect("the anchor is used");
    let names: Vec<&str> = read.checks[0].properties.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["installed", "versions"]);
    let deep = "x-common:\n  on: &on\n    running: true\n  off:\n    - &off {running: false}\n\
                service:\n  a: *on\n  b: *off\n";
    assert_eq!(suite(deep).expect("anchors further in").checks.len(), 2);
    // A template leaves out what refers to it.
    let unused = "defaults: &defaults\n  exists: true\nfile:\n  /x:\n    exists: true\n";
    assert_eq!(suite(unused).expect("a definition all the same").checks.len(), 1);
}

#[test]
fn a_misspelled_resource_is_no_definition() {
    let rest = "file:\n  /x:\n    exists: true\n";
    let lost = suite(&format!("packages: &all\n  agent:\n    installed: true\n{rest}"));
    assert_eq!(lost.expect_err("nothing refers to it"), "unknown resource \"packages\"");
    let referred = format!("packages: &all\n  agent:\n    installed: true\npackage: *all\n{rest}");
    assert_eq!(suite(&referred).expect("an alias refers to it").checks.len(), 2);
    let plain = suite(&format!("defaults:\n  a:\n    exists: true\n{rest}"));
    assert_eq!(plain.expect_err("no anchor"), "unknown resource \"defaults\"");
    let shell = suite(&format!("daemons:\n  a:\n    exec: run &\n    title: this & that\n  # b: &c\n{rest}"));
    assert_eq!(shell.expect_err("no anchor"), "unknown resource \"daemons\"");
}

#[test]
fn a_resource_without_ids_checks_nothing() {
    let read = suite("service:\nfile:\n  /x:\n    exists: true\nport: {}\n").expect("a loop over nothing");
    assert_eq!(read.checks.len(), 1);
    assert_eq!(suite("service:\n").expect_err("nothing is left"), "suite \"x\" has no checks");
    assert_eq!(suite("services:\n").expect_err("a misspelling"), "\"services\" holds null");
}

#[test]
fn where_a_text_is_wanted_it_is_as_written() {
    let read = suite(
        "command:\n  a:\n    exec: true\n    exit-status: 0\n    title: 1.10\n  b: &b\n    exec: false\n    \
         exit-status: 1\n  c:\n    <<: *b\n    title: 0x1F\n",
    )
    .expect("goss takes them");
    let said = |at: usize| (read.checks[at].subject().to_owned(), read.checks[at].title.clone());
    assert_eq!(said(0), ("true".into(), Some("1.10".into())));
    assert_eq!(said(1), ("false".into(), None));
    assert_eq!(said(2).0, "false");
}

#[test]
fn a_path_may_begin_with_somebodys_home() {
    let read = suite("file:\n  ~root:\n    exists: true\n  here:\n    path: ~root/.profile\n    exists: true\n");
    assert_eq!(read.expect("a user is named").checks.len(), 2);
    for path in ["\"~\"", "~/x", "x", "\"~a:b\""] {
        let refused = suite(&format!("file:\n  {path}:\n    exists: true\n")).expect_err("whose home?");
        assert!(refused.contains("is not absolute"), "{refused}");
    }
}

#[test]
fn an_old_and_a_new_name_are_both_heard() {
    use crate::Matcher;
    for order in [["contains: [root]", "contents: [nothing]"], ["contents: [nothing]", "contains: [root]"]] {
        let read = suite(&format!("file:\n  /x:\n    exists: true\n    {}\n    {}\n", order[0], order[1]));
        let Matcher::And(both) = read.expect("goss judges both").checks[0].properties[1].matcher.clone() else {
            panic!("one is lost")
        };
        assert_eq!(both.len(), 2);
    }
    let own = b"suite \"s\" {\n  file \"/x\" {\n    contains = [\"root\"]\n    contents = [\"nothing\"]\n  }\n}\n";
    let mistakes = load::read(Path::new("x.hcl"), own).expect_err("one would be lost");
    assert_eq!(mistakes[0].title, "\"contents\" a second time");
    for order in [["resolveable: true", "resolvable: false"], ["resolvable: false", "resolveable: true"]] {
        let refused = suite(&format!("dns:\n  x:\n    {}\n    {}\n", order[0], order[1])).expect_err("which?");
        assert_eq!(refused, "\"resolvable\" a second time");
    }
    for order in [["retry: 1", "retry_count: 2"], ["retry_count: 2", "retry: 1"]] {
        let refused = suite(&format!("user:\n  x:\n    exists: true\n    {}\n    {}\n", order[0], order[1]));
        assert_eq!(refused.expect_err("which?"), "\"retry\" a second time");
    }
}

#[test]
fn yaml_1_1_says_yes_in_many_words() {
    let reader = |word: &str| {
        let text = format!("matching:\n  m:\n    content: 5\n    as-reader: {word}\n    matches: {{have-len: 1}}\n");
        suite(&text).expect("goss takes it").checks[0].parameters["content"].clone()
    };
    for word in ["true", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"] {
        assert_eq!(reader(word), "5", "{word}");
    }
    for word in ["false", "n", "N", "no", "No", "NO", "off", "Off", "OFF"] {
        assert_eq!(reader(word), 5, "{word}");
    }
    let skipped = suite("gossfile:\n  none.yaml: {skip: yes}\nuser:\n  x: {exists: true}\n");
    assert_eq!(skipped.expect("nothing is included").checks.len(), 1);
}

#[test]
fn nothing_of_a_skipped_check_is_demanded() {
    let text = "package: {foo: {skip: true}}\ncommand: {foo: {skip: true}}\nfile: {etc/x: {exists: true, skip: true}}\n\
                port: {tcp:ssh: {skip: on}}\nmatching: {m: {skip: true}}\n";
    let read = suite(text).expect("goss reports each as skipped");
    let names: Vec<&str> = read.checks.iter().map(|check| check.properties[0].name.as_str()).collect();
    assert_eq!(names, ["installed", "exit-status", "exists", "listening", "matches"]);
    assert!(read.checks.iter().all(|check| check.skip));
}

#[test]
fn null_is_equal_to_nothing() {
    use crate::judge_written;
    let there_is_one = "command:\n  x:\n    exit-status: 0\n    stdout: {gjson: {a: {not: {equal: null}}}}\n";
    let read = suite(there_is_one).expect("goss takes it");
    let met = |text: &str| judge_written(&read.checks[0].properties[1].matcher, &text.into()).met;
    assert!(met(r#"{"a": 1}"#) && !met(r#"{"a": null}"#) && !met("{}"));
    let never = suite(&there_is_one.replace("{not: {equal: null}}", "{equal: null}"));
    assert_eq!(never.expect_err("never met"), "\"equal\" takes a value");
}

#[test]
fn tags_and_further_documents_are_mistakes() {
    for (tag, pattern) in
        [("!", "!"), ("!foo", "!foo"), ("!/re/", "!/re/"), ("!PermitRootLogin", "!PermitRootLogin yes")]
    {
        let refused = suite(&format!("file:\n  /x:\n    exists: true\n    contents:\n    - {pattern}\n"));
        let refused = refused.expect_err("the pattern is lost");
        assert!(refused.starts_with(&format!("the tag {tag} means nothing in a suite")), "{refused}");
    }
    let one = "user:\n  x: {exists: true}\n";
    for end in ["---\n", "...\n", "---\n# nothing\n"] {
        assert_eq!(suite(&format!("{one}{end}")).expect("one document").checks.len(), 1);
    }
    let refused = suite(&format!("{one}---\n{one}")).expect_err("goss reads the first");
    assert_eq!(refused, "a second document, which goss does not read");
}
