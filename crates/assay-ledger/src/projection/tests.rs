//! Projections into files as people write them: only ids change.

use std::path::Path;

use proptest::prelude::*;

use super::{ProjectionError, apply};
use crate::fixtures;
use assay_config::file::ProjectionDecl;
use assay_model::AmiRecord;

const X: &str = "ami-0abcdef1234567801";
const E: &str = "ami-0abcdef1234567802";
const A: &str = "ami-0abcdef1234567803";
/// An older gold.
const OLD: &str = "ami-00000000000000000";

fn projection(variable: &str, place: Option<(&str, &str)>) -> ProjectionDecl {
    ProjectionDecl {
        path: "f".into(),
        line: 1,
        variable: variable.to_owned(),
        region: place.map(|(_, region)| region.parse().expect("a region")),
        architecture: place.map(|(architecture, _)| architecture.parse().expect("an architecture")),
    }
}

fn record(architecture: &str, region: &str, number: u8) -> AmiRecord {
    fixtures::ami(architecture, region, number, b"", "2026-11-22T10:05:00Z").record
}

/// amd64 in two regions.
fn gold() -> Vec<AmiRecord> {
    vec![record("x86_64", "us-east-1", 1), record("x86_64", "eu-west-1", 2)]
}

fn both() -> Vec<AmiRecord> {
    [gold(), vec![record("arm64", "us-east-1", 3)]].concat()
}

fn at(file: &str, old: &str, projection: &ProjectionDecl, gold: &[AmiRecord]) -> Result<String, ProjectionError> {
    let new = apply(Path::new(file), Some(old.as_bytes()), projection, &[], gold)?;
    let again = apply(Path::new(file), Some(&new), projection, &[], gold)?;
    let new = String::from_utf8(new).expect("UTF-8");
    assert_eq!(String::from_utf8(again).expect("UTF-8"), new, "twice is once");
    Ok(new)
}

fn scalar(file: &str, old: &str, variable: &str) -> String {
    at(file, old, &projection(variable, Some(("x86_64", "us-east-1"))), &gold()).unwrap_or_else(|e| panic!("{e}"))
}

fn map(file: &str, old: &str, variable: &str) -> String {
    at(file, old, &projection(variable, None), &gold()).unwrap_or_else(|e| panic!("{e}"))
}

fn says(file: &str, old: &str, variable: &str) -> String {
    at(file, old, &projection(variable, Some(("x86_64", "us-east-1"))), &gold()).expect_err(old).to_string()
}

#[test]
fn one_id_changes_and_nothing_else() {
    for (file, old, variable) in [
        ("a.auto.tfvars", "# images\nbase_ami   = \"OLD\" # gold\nother = 1\n", "base_ami"),
        ("a.tfvars", "base_ami = \"OLD\"", "base_ami"),
        (
            "a.tfvars",
            "/* a\n b */ base_ami = /* c */ \"OLD\" // d\r\n\tx = <<EOT\r\nbase_ami = \"OLD-not\"\r\nEOT\r\n",
            "base_ami",
        ),
        ("b.pkrvars.hcl", "tags = {\n  Base = \"x\"\n}\n\nbase_ami = \"OLD\"\n", "base_ami"),
        ("c.tf", "locals {\n  # gold\n  base_ami = \"OLD\"\n}\nlocals {\n  base = 1\n}\n", "locals.base_ami"),
        (
            "c.tf",
            "variable \"other\" { default = \"x\" }\nvariable \"base_ami\" {\n  type    = string\n  default = \"OLD\"\n}\n",
            "variable.base_ami.default",
        ),
        ("d.hcl", "images = {\n  base = { ami = \"OLD\", note = \"${keep}\" } # b\n}\n", "images.base.ami"),
        ("e.json", "{\n\t\"base_ami\": \"OLD\",\n\t\"z\": [1, \"}\\\"{\"],\n\t\"a\": null}", "base_ami"),
        ("e.auto.tfvars.json", "{\"images\":{\"x\":1.50,\"base\":{\"ami\":\"OLD\"}}}", "images.base.ami"),
        ("e.json", "{\r\n  \"é\": \"\\u00e9\",\r\n  \"images.base\": \"OLD\"\r\n}\r\n", "images.base"),
        ("f.yaml", "---\n# images\nimages:\n  base:\n    ami: OLD # gold\n    tags: [a, 'b']\n", "images.base.ami"),
        ("f.yml", "é: ü\nbase_ami: 'OLD'   # c\nlist:\n- a\n- {b: c}\n", "base_ami"),
        ("f.yml", "base_ami: &gold \"OLD\"\r\ncopy: *gold\r\ntext: |\r\n  base_ami: OLD-not\r\n", "base_ami"),
        ("f.yml", "{a: 1, base_ami: OLD, b: 2}", "base_ami"),
    ] {
        // The text says `OLD`, and `OLD-not` where it must stay.
        let old = old.replace("OLD-not", "kept").replace("OLD", OLD);
        assert_eq!(scalar(file, &old, variable), old.replace(OLD, X), "{file}");
    }
}

#[test]
fn in_a_map_only_the_ids_change() {
    for (file, old, variable) in [
        (
            "a.tfvars",
            "base_ami = {\n  # Virginia\n  us-east-1 = \"X\" # a\n  \"eu-west-1\" = \"E\",\n} # end\n",
            "base_ami",
        ),
        ("a.tfvars", "base_ami = { us-east-1 : \"X\", eu-west-1 = \"E\" }\n", "base_ami"),
        (
            "a.tfvars",
            "base_ami = {\r\n\tother = \"mine\"\r\n\tus-east-1 = \"X\"\r\n\r\n\teu-west-1 = \"E\"\r\n}",
            "base_ami",
        ),
        ("a.json", "{ \"base_ami\" : {\n \"eu-west-1\" :\"E\" , \"us-east-1\": \"X\" } }", "base_ami"),
        ("a.yaml", "base_ami:\n    # v\n    eu-west-1:   E\n    us-east-1: \"X\"  # a\nz: 1\n", "base_ami"),
        ("a.yaml", "base_ami: { us-east-1: X, 'eu-west-1': 'E' } # a\n", "base_ami"),
    ] {
        let before =
            old.replace("\"X\"", &format!("\"{OLD}\"")).replace("X,", &format!("{OLD},")).replace("\"E\"", "\"\"");
        let before = before.replace(" E\n", &format!(" {OLD}\n")).replace("'E'", "''");
        let after = old.replace('X', X).replace("\"E\"", &format!("\"{E}\"")).replace(" E\n", &format!(" {E}\n"));
        let after = after.replace("'E'", &format!("'{E}'"));
        assert_eq!(map(file, &before, variable), after, "{file}");
    }
}

#[test]
fn a_new_region_is_added_in_the_style_of_its_neighbours() {
    for (file, old, new) in [
        (
            "a.tfvars",
            "b = {\n  \"us-east-1\"      = \"X\" # a\n}\n",
            "b = {\n  \"us-east-1\"      = \"X\" # a\n  \"eu-west-1\"      = \"E\"\n}\n",
        ),
        ("a.tfvars", "b = {\n  us-east-1 = \"X\",\n}\n", "b = {\n  us-east-1 = \"X\",\n  eu-west-1 = \"E\",\n}\n"),
        ("a.tfvars", "b = { us-east-1 = \"X\" }", "b = { us-east-1 = \"X\", eu-west-1 = \"E\" }"),
        ("a.json", "{\"b\":{\"us-east-1\":\"X\"}}", "{\"b\":{\"us-east-1\":\"X\",\"eu-west-1\":\"E\"}}"),
        (
            "a.json",
            "{\n\t\"b\": {\n\t\t\"us-east-1\": \"X\"\n\t}\n}\n",
            "{\n\t\"b\": {\n\t\t\"us-east-1\": \"X\",\n\t\t\"eu-west-1\": \"E\"\n\t}\n}\n",
        ),
        ("a.yaml", "b:\n    us-east-1: X # a\nc: 1\n", "b:\n    us-east-1: X # a\n    eu-west-1: E\nc: 1\n"),
        ("a.yaml", "b: {us-east-1: X}\r\n", "b: {us-east-1: X, eu-west-1: E}\r\n"),
    ] {
        let with = |text: &str| text.replace('X', X).replace('E', E);
        assert_eq!(map(file, &with(old), "b"), with(new), "{file}");
    }
}

#[test]
fn what_is_missing_is_added_and_a_new_file_holds_the_variable_alone() {
    for (file, old, variable, new) in [
        ("a.tfvars", "x = 1", "b", "x = 1\nb = \"X\"\n"),
        ("a.tfvars", "# c\r\nx = 1\r\n", "b", "# c\r\nx = 1\r\nb = \"X\"\r\n"),
        ("a.tfvars", "", "i.b", "i = {\n  \"b\" = \"X\"\n}\n"),
        ("a.tfvars", "i = {\n  a = 1\n}\n", "i.b", "i = {\n  a = 1\n  b = \"X\"\n}\n"),
        ("a.tf", "locals {\n  a = 1\n}\n", "locals.b", "locals {\n  a = 1\n  b = \"X\"\n}\n"),
        ("a.json", "", "i.b", "{\n  \"i\": {\n    \"b\": \"X\"\n  }\n}\n"),
        ("a.json", "{}", "b", "{\"b\": \"X\"}"),
        ("a.json", "{\n    \"a\": 1\n}\n", "b", "{\n    \"a\": 1,\n    \"b\": \"X\"\n}\n"),
        ("a.yaml", "# c\n", "i.b", "# c\ni:\n  b: X\n"),
        ("a.yaml", "a: 1\ni:\n    c:\n", "i.b", "a: 1\ni:\n    c:\n    b: X\n"),
        ("a.yaml", "a:\nb:\n", "b", "a:\nb: X\n"),
        ("a.yaml", "b: # none yet\n", "b", "b: X # none yet\n"),
    ] {
        assert_eq!(scalar(file, old, variable), new.replace('X', X), "{file}: {old:?}");
    }
    let place = projection("b", None);
    let made =
        |file: &str| String::from_utf8(apply(Path::new(file), None, &place, &[], &both()).expect(file)).expect("UTF-8");
    insta::assert_snapshot!("projection_new_files", [made("a.tfvars"), made("a.json"), made("a.yaml")].join("---\n"));
}

#[test]
fn a_value_of_another_shape_is_replaced_where_nothing_is_lost() {
    let with = |text: &str| text.replace('X', X).replace('E', E).replace('O', OLD);
    for (file, old, new) in [
        (
            "a.tfvars",
            "a = 1\nb = \"\" # c\nz = 1\n",
            "a = 1\nb = {\n  \"eu-west-1\" = \"E\"\n  \"us-east-1\" = \"X\"\n} # c\nz = 1\n",
        ),
        ("a.tfvars", "b = null", "b = {\n  \"eu-west-1\" = \"E\"\n  \"us-east-1\" = \"X\"\n}"),
        (
            "a.json",
            "{\n  \"b\": \"O\"\n}\n",
            "{\n  \"b\": {\n    \"eu-west-1\": \"E\",\n    \"us-east-1\": \"X\"\n  }\n}\n",
        ),
        ("a.yaml", "b: O # c\n", "b: {eu-west-1: E, us-east-1: X} # c\n"),
        // A region that gold no longer has goes.
        (
            "a.tfvars",
            "b = {\n  us-east-1 = \"O\"\n  ap-south-1 = \"O\"\n}\n",
            "b = {\n  \"eu-west-1\" = \"E\"\n  \"us-east-1\" = \"X\"\n}\n",
        ),
        ("a.yaml", "b:\n  us-east-1: O\n  ap-south-1: O\nc: 1\n", "b:\n  eu-west-1: E\n  us-east-1: X\nc: 1\n"),
    ] {
        assert_eq!(map(file, &with(old), "b"), with(new), "{file}: {old:?}");
    }
    let old = with("b = {\n  us-east-1 = \"O\"\n} # c\n");
    assert_eq!(scalar("a.tfvars", &old, "b"), with("b = \"X\" # c\n"));
    assert_eq!(scalar("a.yaml", &with("b:\n  us-east-1: O\nc: 1\n"), "b"), with("b:\n  X\nc: 1\n"));
}

#[test]
fn a_region_that_goes_takes_no_comment_of_the_others_along() {
    let with = |text: &str| text.replace('X', X).replace('E', E).replace('O', OLD);
    for (file, old, new) in [
        (
            "a.tfvars",
            "b = {\n  # home\n  us-east-1 = \"O\" # first\n  ap-south-1 = \"O\", // gone\n  /* last */\n}\n",
            "b = {\n  # home\n  us-east-1 = \"X\" # first\n  eu-west-1 = \"E\"\n  /* last */\n}\n",
        ),
        (
            "a.tfvars",
            "b = {\r\n\tap-south-1 = \"O\"\r\n\t# home\r\n\tus-east-1 = \"O\"\r\n\teu-west-1 = \"\"\r\n}\r\n",
            "b = {\r\n\t# home\r\n\tus-east-1 = \"X\"\r\n\teu-west-1 = \"E\"\r\n}\r\n",
        ),
        (
            "a.yaml",
            "b:\n  ap-south-1: O\n  us-east-1: O # home\n  # far\n  eu-west-1:\nc: 1\n",
            "b:\n  us-east-1: X # home\n  # far\n  eu-west-1: E\nc: 1\n",
        ),
        // Signs in a string are none.
        (
            "a.tfvars",
            "b = { \"us-east-1\" = \"O\", ap-south-1 = \"\" } # c\n",
            "b = {\n  \"eu-west-1\" = \"E\"\n  \"us-east-1\" = \"X\"\n} # c\n",
        ),
    ] {
        assert_eq!(map(file, &with(old), "b"), with(new), "{file}: {old:?}");
    }
    // Where that cannot be done by lines, nothing is.
    for (file, old, line) in [
        ("a.tfvars", "b = {\n  # c\n  us-east-1 = \"O\", ap-south-1 = \"O\"\n}\n", 3),
        ("a.tfvars", "b = {\n  # c\n  ap-south-1 = \"O\"\n}\n", 3),
        ("a.tfvars", "b = {\n  us-east-1 = \"O\"\n  ap-south-1 = \"O\" /* a\n  b */\n}\n", 3),
        ("a.tfvars", "b = {\n  us-east-1 = \"O\"\n  arm64 = {\n    # c\n    us-east-1 = \"O\"\n  }\n}\n", 3),
        ("a.tfvars", "b = { # c\n}\n", 1),
        ("a.yaml", "b: {us-east-1: O, # c\n  ap-south-1: O}\n", 2),
    ] {
        let error = at(file, &with(old), &projection("b", None), &gold()).expect_err(old).to_string();
        assert!(error.starts_with(&format!("{file}:{line}: this map holds a comment")), "{old:?}: {error}");
    }
    for (file, old) in
        [("a.tfvars", "b = {\n  us-east-1 = \"O\" # c\n}\n"), ("a.yaml", "b:\n  us-east-1: O # c\n  eu-west-1: O\n")]
    {
        let said = says(file, &with(old), "b");
        assert!(said.contains("this map holds a comment") && said.contains("one id is to stand here"), "{said}");
    }
}

#[test]
fn a_second_architecture_makes_a_map_of_maps() {
    let old = format!("b = {{\n  us-east-1 = \"{OLD}\"\n  eu-west-1 = \"{OLD}\"\n}}\n");
    let new = at("a.tfvars", &old, &projection("b", None), &both()).expect("written");
    let inner = format!("    \"eu-west-1\" = \"{E}\"\n    \"us-east-1\" = \"{X}\"\n");
    assert_eq!(
        new,
        format!("b = {{\n  \"x86_64\" = {{\n{inner}  }}\n  \"arm64\"  = {{\n    \"us-east-1\" = \"{A}\"\n  }}\n}}\n")
    );
    let yaml = at("a.yaml", &format!("b:\n  us-east-1: {OLD}\n"), &projection("b", None), &both()).expect("written");
    assert_eq!(yaml, format!("b:\n  x86_64:\n    eu-west-1: {E}\n    us-east-1: {X}\n  arm64:\n    us-east-1: {A}\n"));
}

#[test]
fn what_is_computed_or_not_assays_is_refused_with_its_line() {
    for (file, old, variable, words) in [
        ("a.tfvars", "\nb = file(\"x\")\n", "b", "a.tfvars:2: here stands an expression"),
        ("a.tfvars", "b = \"${x}\"\n", "b", "a.tfvars:1: here stands an expression"),
        ("a.tfvars", "b = <<E\nx\nE\n", "b", "a.tfvars:1: here stands a heredoc"),
        ("a.tfvars", "b = [\"x\"]\n", "b", "here stands a list"),
        ("a.tfvars", "b = {\n  mine = \"x\"\n}\n", "b", "holds more than AMI ids"),
        ("a.tfvars", "b = {\n", "b", "not valid HCL"),
        ("a.tfvars", "i = 5\n", "i.b", "a.tfvars:1: i is no map"),
        ("a.tf", "locals { a = 1 }\n", "locals.b", "closing brace on a line of its own"),
        ("a.json", "{\"b\": 5}", "b", "a number or flag"),
        ("a.json", "{\n\"b\": }", "b", "a.json:2: not valid JSON"),
        ("a.json", "[]", "b", "must be an object"),
        ("a.yaml", "a: &x 1\nb: *x\n", "b", "a.yaml:2: here stands an alias"),
        ("a.yaml", "b: |\n  x\n", "b", "a block of text"),
        ("a.yaml", "a: 1\n---\nb: 2\n", "b", "several documents"),
        ("a.yaml", "- b\n", "b", "must be a map"),
        ("a.yaml", "a: [\n", "b", "not valid YAML"),
        ("a.toml", "b = 1\n", "b", "is none of them"),
        ("a.tfvars", "b = 1\n", "b..c", "has an empty part"),
    ] {
        let said = says(file, old, variable);
        assert!(said.contains(words), "{file} {old:?}: {said}");
    }
    let stale = format!("b = {{\n  mine = \"x\"\n  ap-south-1 = \"{OLD}\"\n}}\n");
    let error = at("a.tfvars", &stale, &projection("b", None), &gold()).expect_err("stale").to_string();
    assert!(error.starts_with("a.tfvars:3: gold has no AMI for ap-south-1 any more"), "{error}");
    let none =
        at("a.tfvars", "", &projection("b", Some(("arm64", "us-east-1"))), &gold()).expect_err("none").to_string();
    assert!(none.contains("gold has no AMI for arm64 in us-east-1, which b asks for"), "{none}");
    let bytes = apply(Path::new("a.tfvars"), Some(b"a = 1\n\xff"), &projection("b", None), &[], &gold());
    assert_eq!(bytes.expect_err("bytes").to_string(), "a.tfvars:2: the file is not UTF-8");
}

#[test]
fn two_images_in_one_file_both_survive() {
    for file in ["a.tfvars", "a.json", "a.yaml"] {
        let one = apply(Path::new(file), None, &projection("images.base", None), &[], &gold()).expect(file);
        let two = apply(Path::new(file), Some(&one), &projection("images.web", None), &[], &both()).expect(file);
        let again = apply(Path::new(file), Some(&two), &projection("images.base", None), &[], &gold()).expect(file);
        assert_eq!(again, two, "{file}");
        let text = String::from_utf8(two).expect("UTF-8");
        assert_eq!((text.matches(X).count(), text.matches(A).count()), (2, 1), "{text}");
    }
}

/// What may stand around the variable, in each kind of file.
fn around(kind: &'static str) -> impl Strategy<Value = String> {
    let lines: Vec<&'static str> = match kind {
        "tfvars" => vec![
            "# base_ami = \"no\"\n",
            "a = [1, 2] // c\n",
            "\n",
            "/* x\n */\n",
            "m = {\n\tk = \"v\"\n}\n",
            "h = <<EOT\nbase_ami = 1\nEOT\n",
            "é = \"ü ${var.x}\"\n",
        ],
        "yaml" => vec![
            "# base_ami: no\n",
            "a: [1, 2] # c\n",
            "\n",
            "m:\n   k: v\n",
            "t: |\n  base_ami: x\n\n  é\n",
            "l:\n- a\n-  b: c\n",
        ],
        _ => vec![" \"a\": 1,\n", "\t\"m\": {\"base_ami\": 1},\r\n", "\"é\" : \"\\\"base_ami\\\":\", ", "\n\n"],
    };
    proptest::collection::vec(proptest::sample::select(lines), 0..5).prop_map(|lines| {
        let mut seen = Vec::new();
        lines
            .into_iter()
            .filter(|line| {
                !seen.contains(line) && {
                    seen.push(*line);
                    true
                }
            })
            .collect()
    })
}

fn check(file: &str, before: &str, value: &str, after: &str) -> Result<(), TestCaseError> {
    let old = format!("{before}{value}{after}");
    for (place, gold) in [(Some(("x86_64", "us-east-1")), gold()), (None, gold()), (None, both())] {
        let projection = projection("base_ami", place);
        let new = apply(Path::new(file), Some(old.as_bytes()), &projection, &[], &gold);
        // A map with a comment keeps its shape, or stays as it is.
        if value.contains('#') && new.as_ref().is_err_and(|e| e.message.starts_with("this map holds a comment")) {
            continue;
        }
        let Ok(new) = new else {
            return Err(TestCaseError::fail(format!(
                "{old:?}: {:?}",
                apply(Path::new(file), Some(old.as_bytes()), &projection, &[], &gold)
            )));
        };
        let again = apply(Path::new(file), Some(&new), &projection, &[], &gold);
        prop_assert_eq!(again.as_deref(), Ok(new.as_slice()));
        let new = String::from_utf8(new).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert!(new.starts_with(before) && new.ends_with(after), "{:?} became {:?}", old, new);
        prop_assert!(new.contains(X));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_outside_the_value_stays_byte_for_byte_in_hcl(
        before in around("tfvars"), after in around("tfvars"), crlf in any::<bool>(), cut in any::<bool>(),
        value in proptest::sample::select(vec!["\"\"", "null", "\"ami-00000000000000000\"", "{ us-east-1 = \"\" }", "{\n  # c\n  us-east-1 = \"ami-00000000000000000\", # d\n}"]),
    ) {
        // Names may not stand twice in one file.
        let after = after.replace("a = ", "a2 = ").replace("m = ", "m2 = ").replace("h = ", "h2 = ").replace("é = ", "é2 = ");
        let (mut before, mut value, mut after) = (format!("{before}base_ami = "), value.to_owned(), format!(" # g\n{after}"));
        if cut { after.truncate(after.trim_end().len()); }
        if crlf { for text in [&mut before, &mut value, &mut after] { *text = text.replace('\n', "\r\n"); } }
        check("f.tfvars", &before, &value, &after)?;
    }

    #[test]
    fn everything_outside_the_value_stays_byte_for_byte_in_yaml(
        before in around("yaml"), after in around("yaml"), crlf in any::<bool>(), cut in any::<bool>(),
        value in proptest::sample::select(vec![" ''", " ~", " ami-00000000000000000", " {us-east-1: }", "\n    # c\n    us-east-1: \"ami-00000000000000000\""]),
    ) {
        let after = after.replace("a: [", "a2: [").replace("m:\n", "m2:\n").replace("t: |", "t2: |").replace("l:\n", "l2:\n");
        let (mut before, mut value, mut after) = (format!("{before}base_ami:"), value.to_owned(), format!(" # g\n{after}"));
        if cut { after.truncate(after.trim_end().len()); }
        if crlf { for text in [&mut before, &mut value, &mut after] { *text = text.replace('\n', "\r\n"); } }
        // A value on the next line moves; one that is added to a map comes behind its comment.
        if value.contains('#') { before.push_str(&value); value.clear(); }
        if value.is_empty() {
            let old = format!("{before}{after}");
            let new = apply(Path::new("f.yaml"), Some(old.as_bytes()), &projection("base_ami", None), &[], &gold());
            let new = new.map_err(|e| TestCaseError::fail(format!("{old:?}: {e}")))?;
            prop_assert!(new.ends_with(after.trim_start_matches(" # g").as_bytes()));
        } else {
            check("f.yaml", &before, &value, &after)?;
        }
    }

    #[test]
    fn everything_outside_the_value_stays_byte_for_byte_in_json(
        before in around("json"), tabs in any::<bool>(), last in any::<bool>(),
        value in proptest::sample::select(vec!["\"\"", "null", "\"ami-00000000000000000\"", "{}", "{\"us-east-1\": \"\"}", "{\n  \"us-east-1\": \"ami-00000000000000000\"\n}"]),
    ) {
        let mut before = format!("{{{before}\"base_ami\" : ");
        if tabs { before = before.replace(' ', "\t"); }
        let after = if last { "\n}" } else { " ,\n \"z\": [{}] }\n" };
        check("f.json", &before, value, after)?;
    }
}

#[test]
fn a_map_whose_last_value_is_a_list_or_a_block_takes_a_new_key() {
    for old in [
        "i:\n  t:\n    - x\nother: 1\n",
        "i:\n  t:\n    - x: 1\n      y:\n        - z\n\n# about other\nother: 1\n",
        "i:\n  t: |\n    x\n    y\nother: 1\n",
        "i:\n  t: |\n    x\n\n\nother: 1\n",
        "i:\n  t: |+\n    x\n\nother: 1\n",
        "i:\n  t: >- # folded\n    x\n# about other\nother: 1\n",
        "i:\r\n  t:\r\n    - x\r\nother: 1\r\n",
        "i:\n  t: [x,\n    y]\nother: 1\n",
        "i:\n  t: |\n    x",
        "i:\n  t:\n    - x",
    ] {
        let new = scalar("f.yaml", old, "i.ami");
        let read = |text: &str| {
            let value: serde_json::Value = yaml(text);
            value
        };
        let (before, mut after) = (read(old), read(&new));
        assert_eq!(after["i"]["ami"], X, "{old:?}: {new:?}");
        after["i"].as_object_mut().expect("a map").remove("ami");
        assert_eq!(after, before, "{old:?}: {new:?}");
    }
}

/// What a YAML reader makes of a text.
fn yaml(text: &str) -> serde_json::Value {
    serde_saphyr::from_str(text).expect("YAML")
}

#[test]
fn a_key_that_is_there_twice_is_refused_with_both_lines() {
    let words = says("f.yaml", "ami: x\nb: 1\nami: y\n", "ami");
    assert!(words.starts_with("f.yaml:3: ") && words.contains("the first is on line 1"), "{words}");
    assert!(says("f.yaml", "i: {a: 1, a: 2}\n", "ami").contains("a second time"));
    scalar("f.yaml", "a:\n  <<: *b\n  <<: *c\nami: y\n".replace("*b", "1").replace("*c", "2").as_str(), "ami");
}

#[test]
fn a_parent_without_anything_in_it_becomes_a_map() {
    for (file, old) in [
        ("f.yaml", "i:\nother: 1\n"),
        ("f.yaml", "i: # gold\nother: 1\n"),
        ("f.yaml", "i: null\nother: 1\n"),
        ("f.json", "{\"i\": null, \"other\": 1}"),
        ("f.tfvars", "i = null\nother = 1\n"),
    ] {
        let new = scalar(file, old, "i.ami");
        assert!(new.contains(X) && new.contains("other"), "{new}");
    }
    assert!(says("f.yaml", "i: 1\n", "i.ami").contains("i is no map"));
}

#[test]
fn the_shape_follows_what_is_declared_not_what_one_run_has() {
    let both = ["x86_64".parse().expect("one"), "arm64".parse().expect("one")];
    let new = |projection: &ProjectionDecl| {
        let bytes = apply(Path::new("f.json"), None, projection, &both, &gold()).expect("written");
        serde_json::from_slice::<serde_json::Value>(&bytes).expect("JSON")
    };
    assert_eq!(new(&projection("ami", None))["ami"]["x86_64"]["us-east-1"], X);
    let one = ProjectionDecl { architecture: Some("x86_64".parse().expect("one")), ..projection("ami", None) };
    assert_eq!(new(&one)["ami"]["us-east-1"], X, "one architecture was asked for");
}

#[test]
fn a_large_json_file_is_read_in_linear_time() {
    let keys: Vec<String> = (0..100_000).map(|number| format!("\"k{number}\": \"v\"")).collect();
    let old = format!("{{{}, \"k1\": \"again\"}}", keys.join(", "));
    let started = std::time::Instant::now();
    assert!(scalar("f.json", &old, "ami").contains(X));
    // A look through all keys for each takes many minutes; this takes seconds, and more on a machine that is busy.
    assert!(started.elapsed() < std::time::Duration::from_secs(120), "{:?}", started.elapsed());
}
