//! Tests of templates: every golden of goss's own binary, every mistake, every bound.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::*;
use crate::{ReadableFolders, SuiteBounds, diagnostic::SourceDiagnostic};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/goss/templates")
}

fn env() -> VisibleEnvironment {
    VisibleEnvironment::of(
        [("ASSAY_EXAMPLE", "from the environment"), ("MY_TOKEN", "hunter2"), ("STAGE", "prod")]
            .map(|(k, v)| (k.to_owned(), v.to_owned())),
        &["ASSAY_EXAMPLE", "ASSAY_NONE"].map(str::to_owned),
    )
}

fn world(vars: VarSources) -> Arc<TemplateWorld> {
    let vars = load_vars(&vars).unwrap_or_else(|mistakes| panic!("{}", told(&mistakes)));
    // A checkout: whether git tracks the fixtures is not asked here.
    let bounds = SuiteBounds { checkout: Some(fixtures()), ..SuiteBounds::default() };
    let reach = Arc::new(ReadableFolders::new(&fixtures(), &fixtures().join("x.yaml"), &bounds));
    Arc::new(TemplateWorld { vars: vars.dict, env: env(), base_dir: fixtures(), reach, read: Mutex::default() })
}

fn told(mistakes: &[SourceDiagnostic]) -> String {
    mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
}

fn inline(vars: &str) -> VarSources {
    VarSources { inline: Some(vars.to_owned()), ..VarSources::default() }
}

/// On a stack like that of the reader of suites.
fn rendered(text: &str, vars: VarSources) -> Result<RenderedText, Vec<TemplateMistake>> {
    let world = world(vars);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(16 << 20);
        thread.spawn_scoped(scope, || render(text, &world)).expect("a thread").join().expect("no panic")
    })
}

fn text(source: &str) -> String {
    rendered(source, inline("a: 1\nmap: {k: v}")).map(|it| it.text).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn titles(source: &str) -> Vec<String> {
    let wrong = rendered(source, inline("a: 1\nmap: {k: v}")).expect_err("it is wrong");
    wrong.into_iter().map(|mistake| mistake.title).collect()
}

#[test]
fn every_golden_of_gosss_own_binary() {
    let mut compared = 0;
    for entry in std::fs::read_dir(fixtures()).expect("the fixtures") {
        let golden = entry.expect("an entry").path();
        if golden.extension() != Some("golden".as_ref()) {
            continue;
        }
        let source = golden.with_extension("yaml");
        let vars = if source.ends_with("json.yaml") { "vars.json" } else { "vars.yaml" };
        let vars = VarSources { folder: fixtures(), files: vec![vars.into()], ..VarSources::default() };
        let it = rendered(&std::fs::read_to_string(&source).expect("the template"), vars);
        let it = it.unwrap_or_else(|wrong| panic!("{}: {wrong:?}", source.display()));
        let expected = std::fs::read_to_string(&golden).expect("the golden");
        for (at, (ours, theirs)) in it.text.lines().zip(expected.lines()).enumerate() {
            assert_eq!(ours, theirs, "{} line {}", golden.display(), at + 1);
        }
        assert_eq!(it.text, expected, "{}", golden.display());
        compared += 1;
    }
    assert!(compared >= 8, "{compared} goldens were found");
}

#[test]
fn mistakes_name_the_place() {
    for (source, title, marked) in [
        ("a\n{{ .Vars.missing }}", "there is no entry \"missing\"", "{{ .Vars.missing }}"),
        ("{{ .Env.MY_TOKEN }}", "the environment variable MY_TOKEN looks like a secret", "{{ .Env.MY_TOKEN }}"),
        ("{{ getEnv \"MY_TOKEN\" \"x\" }}", "getEnv: the environment variable MY_TOKEN", "{{ getEnv"),
        ("{{ expandenv \"$MY_TOKEN\" }}", "expandenv: the environment", "{{ exp"),
        ("{{ .Env.STAGE }}", "the environment variable STAGE is not given to templates", "{{ .Env.STAGE }}"),
        ("{{ env \"NEVER_SET\" }}", "env: the environment variable NEVER_SET is not given", "{{ env"),
        ("{{ index .Env \"MY_TOKEN\" }}", "the environment variable MY_TOKEN", "{{ index"),
        ("x {{ uper \"a\" }}", "no function \"uper\"", "uper"),
        ("x {{ if (now | uuidv4) }}{{ end }}", "Sprig's function \"now\" is not supported", "now"),
        ("{{ if }}", "this template cannot be parsed", ""),
        ("{{ upper 5 }}", "upper: argument 1 must be a text, not int", "{{ upper 5 }}"),
        ("{{ upper }}", "upper takes 1 arguments, not 0", "{{ upper }}"),
        ("ok\n{{ range until 3 }}\n{{ fail \"no\" }}{{ end }}", "fail: no", "{{ fail \"no\" }}"),
        ("{{ div 1 0 }}", "div: divides by zero", "{{ div"),
        ("{{ regexMatch \"(\" \"x\" }}", "regexMatch: \"(\" is no regular expression", "{{ regex"),
        ("{{ $_ := set .Env \"x\" 1 }}", "set: argument 1 must be a dict whose keys are texts", "{{ $_"),
        ("{{ $d := dict }}{{ set $d \"x\" (list $d) }}", "set: the dict would hold itself", "{{ set"),
        ("{{ readFile \"/etc/passwd\" }}", "readFile: \"/etc/passwd\": it lies outside of", "{{ readFile"),
        ("{{ readFile \"none\" }}", "readFile: \"none\": no such file", "{{ readFile"),
        ("{{ __at 1 }}", "no function \"__at\"", "__at"),
        ("{{ b64dec \"?\" }}", "b64dec: this is not base64", "{{ b64"),
    ] {
        let wrong = rendered(source, inline("a: 1")).expect_err(source);
        assert!(wrong[0].title.starts_with(title), "{source}: {:?}", wrong[0].title);
        assert!(source[wrong[0].span.start.min(source.len())..].starts_with(marked), "{source}: {:?}", wrong[0].span);
    }
    assert_eq!(titles("{{ nope 1 }} {{ also (nothing 2) }}").len(), 3, "all at once");
}

#[test]
fn nothing_grows_without_bound() {
    let begun = std::time::Instant::now();
    for source in [
        "{{ until 1000000000 }}",
        "{{ range until 60000 }}{{ range until 60000 }}x{{ end }}{{ end }}",
        "{{ range 100000000 }}{{ end }}",
        "{{ repeat 1000000000 \"x\" }}",
        "{{ $x := \"x\" }}{{ range until 60 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}",
        "{{ $x := \"x\" }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}",
        "{{ $x := \"x\" }}{{ range until 60 }}{{ $x = cat $x $x }}{{ end }}",
        "{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}",
        "{{ $x := list 1 }}{{ range until 5000 }}{{ $x = list $x }}{{ end }}",
        "{{ $x := dict }}{{ range until 5000 }}{{ $x = dict \"a\" $x }}{{ end }}",
        "{{ define \"a\" }}{{ template \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
        "{{ printf \"%1000000d\" 1 | repeat 100 }}",
        "{{ indent 1000000 \"a\\nb\\nc\" }}",
        "{{ replace \"\" (repeat 1000 \"x\") (repeat 100000 \"y\") }}",
        "{{ regexReplaceAll \".\" (repeat 10000 \"x\") \"$0$0$0$0$0$0$0$0$0$0$0$0\" | repeat 100 }}",
        "{{ regexMatch \"(a{1000}){1000}\" \"x\" }}",
        "{{ seq 1 1000000000 }}",
        "{{ untilStep 0 9223372036854775807 1 }}",
        "{{ range until 3 }}{{ repeat 500000 \"x\" }}{{ end }}",
    ] {
        let wrong = titles(source);
        assert!(!wrong[0].is_empty(), "{source}");
    }
    let nested = format!("{}x{}", "{{ if true }}".repeat(5000), "{{ end }}".repeat(5000));
    assert!(rendered(&nested, inline("")).is_err());
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(rendered(&parens, inline("")).is_err());
    assert!(begun.elapsed().as_secs() < 120, "bounds, not endurance: {:?}", begun.elapsed());
}

#[test]
fn the_limits_of_numbers_are_survived() {
    assert_eq!(
        text("{{ div -9223372036854775807 -1 }}|{{ mod -9223372036854775807 -1 }}|{{ add 9223372036854775807 1 }}")
            .split('|')
            .count(),
        3
    );
    assert_eq!(text("{{ untilStep 9223372036854775800 9223372036854775807 5 | len }}"), "2");
    assert_eq!(text("{{ .Vars.a }}{{/* note */}}{{ .Vars.map.k }}"), "1v");
}

#[test]
fn later_variables_outweigh_earlier_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("1.yaml"), "a: one\nb: {x: 1, y: 2}\nc: 1").expect("written");
    std::fs::write(folder.path().join("2.json"), "{\"a\": \"two\", \"b\": {\"z\": 3}}").expect("written");
    let sources = VarSources {
        folder: folder.path().to_owned(),
        files: vec!["1.yaml".into(), "2.json".into()],
        inline: Some("{c: inline}".to_owned()),
        ..VarSources::default()
    };
    let it = rendered("{{ .Vars.a }} {{ .Vars.b }} {{ .Vars.c }}", sources).expect("it is right");
    assert_eq!(it.text, "two map[z:3] inline");
}

#[test]
fn wrong_variables_are_told_of_all_sources_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("list.yaml"), "- a\n").expect("written");
    std::fs::write(folder.path().join("twice.yaml"), "a: 1\na: 2\n").expect("written");
    let mut bomb = String::from("v0: &v0 [x, x]\n");
    for n in 1..30 {
        let before = n - 1;
        bomb += &format!("v{n}: &v{n} [*v{before}, *v{before}]\n");
    }
    std::fs::write(folder.path().join("bomb.yaml"), bomb).expect("written");
    std::fs::write(folder.path().join("empty.yaml"), "").expect("written");
    let sources = VarSources {
        folder: folder.path().to_owned(),
        files: ["list.yaml", "twice.yaml", "bomb.yaml", "none.yaml", "empty.yaml"].map(PathBuf::from).to_vec(),
        inline: Some("{".to_owned()),
        ..VarSources::default()
    };
    let mistakes = load_vars(&sources).expect_err("five are wrong");
    let titles: Vec<&str> = mistakes.iter().map(|mistake| mistake.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "variables are a map",
            "duplicate key \"a\"",
            "this is neither YAML nor JSON",
            "no such file of variables",
            "this is neither YAML nor JSON"
        ]
    );
    assert_eq!(mistakes[1].line, 2);
}

#[path = "go_tests.rs"]
mod as_go;

mod any_template {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

        /// Cut anywhere and with anything put in, a template renders or is told to be wrong.
        #[test]
        fn is_survived(file in 0..4usize, cut in 0.0..1.0f64, put in "[{}\"()|. $a-z0-9\n-]{0,6}") {
            let name = ["strings", "numbers", "lists", "dicts"][file];
            let whole = std::fs::read_to_string(fixtures().join(format!("{name}.yaml"))).expect("the template");
            let mut at = (whole.len() as f64 * cut) as usize;
            while !whole.is_char_boundary(at) { at -= 1; }
            let text = format!("{}{put}{}", &whole[..at], &whole[at..]);
            let vars = VarSources { folder: fixtures(), files: vec!["vars.yaml".into()], ..VarSources::default() };
            match rendered(&text, vars) {
                Ok(it) => for start in 0..it.text.len().min(50) {
                    let span = it.source(&(start..start + 1));
                    prop_assert!(span.end <= text.len() && span.start <= span.end);
                    let _ = it.evaluated_line(&(start..start + 1));
                },
                Err(wrong) => prop_assert!(!wrong.is_empty()),
            }
        }
    }
}
