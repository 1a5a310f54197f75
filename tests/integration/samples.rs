//! Everything that users copy is right: every `post-processor "assay"` block in the repository's templates and pages, and every assay.hcl.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use assay_config::{CheckInput, EntryPoint, TemplateOptions, check};
use hcl::{Block, Body, Expression, Structure};
use serde_json::{Map, Value};

use crate::support::packer::Workshop;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository that users may read or copy; build output and other people's code are left out.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    const LEFT_OUT: [&str; 6] = ["target", ".git", "tests", "build", "src", "crates"];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !LEFT_OUT.contains(&name.as_str()) {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// The HCL texts of a file: itself, or a page's ```hcl blocks.
fn texts(path: &Path) -> Vec<String> {
    let name = path.file_name().expect("a name").to_string_lossy();
    if name.ends_with(".pkr.hcl") {
        return vec![fs::read_to_string(path).expect("text")];
    }
    if !name.ends_with(".md") {
        return Vec::new();
    }
    let page = fs::read_to_string(path).expect("text");
    page.split("```hcl\n").skip(1).filter_map(|rest| rest.split("```").next().map(str::to_owned)).collect()
}

/// The blocks of this kind and name, like `post-processor "assay"`, at any depth.
fn blocks<'a>(body: &'a Body, kind: &str, name: &str, found: &mut Vec<&'a Block>) {
    for structure in body.iter() {
        if let Structure::Block(block) = structure {
            let is_it =
                block.identifier() == kind && block.labels().first().is_some_and(|label| label.as_str() == name);
            if is_it {
                found.push(block);
            } else {
                blocks(block.body(), kind, name, found);
            }
        }
    }
}

/// As Packer's first Configure sends it: what is no literal is not known yet.
fn value(expression: &Expression) -> Value {
    match expression {
        Expression::Bool(flag) => Value::from(*flag),
        Expression::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Expression::String(text) => Value::from(text.as_str()),
        Expression::Array(items) => items.iter().map(value).collect(),
        Expression::Object(entries) => Value::Object(
            entries.iter().map(|(key, item)| (key.to_string().trim_matches('"').to_owned(), value(item))).collect(),
        ),
        _ => Value::from("<unknown>"),
    }
}

fn options(body: &Body) -> Map<String, Value> {
    body.iter()
        .map(|structure| match structure {
            Structure::Attribute(attribute) => (attribute.key().to_owned(), value(attribute.expr())),
            Structure::Block(block) => (block.identifier().to_owned(), Value::Object(options(block.body()))),
        })
        .collect()
}

#[test]
fn every_template_that_users_copy_is_right() {
    let mut paths = Vec::new();
    files(&root(), &mut paths);
    let mut checked = 0;
    for path in paths {
        for text in texts(&path).iter().filter(|text| text.contains("post-processor \"assay\"")) {
            let body = hcl::parse(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut found = Vec::new();
            blocks(&body, "post-processor", "assay", &mut found);
            for block in found {
                // Paths in a page are examples; those in a template must be there.
                let mut options = options(block.body());
                if path.extension().is_some_and(|extension| extension == "md") && options.contains_key("suites") {
                    options.insert("suites".to_owned(), Value::from("<unknown>"));
                }
                let template = TemplateOptions { options, from_json_template: false, builder_type: None };
                let input =
                    CheckInput { template: Some(&template), ..CheckInput::new(EntryPoint::PostProcessor, root()) };
                let errors: Vec<String> = check(&input).errors.iter().map(ToString::to_string).collect();
                assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
                checked += 1;
            }
        }
    }
    // README, the three templates of packer/, and pages: a search that finds fewer no longer looks where they are.
    assert!(checked >= 4, "{checked} blocks were found");
}

#[test]
fn every_data_source_that_users_copy_has_right_options() {
    use packer_plugin::DataSource;
    let spec = assay::packer::data_source::ImageDataSource::default().spec();
    let mut paths = Vec::new();
    files(&root(), &mut paths);
    let mut checked = 0;
    for path in paths {
        for text in texts(&path).iter().filter(|text| text.contains("data \"assay-image\"")) {
            let body = hcl::parse(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut found = Vec::new();
            blocks(&body, "data", "assay-image", &mut found);
            for block in found {
                let given = options(block.body());
                assert!(given.contains_key("image"), "{}", path.display());
                for name in given.keys() {
                    assert!(spec.fields.contains_key(name), "{}: {name}", path.display());
                }
                checked += 1;
            }
        }
    }
    assert!(checked >= 3, "{checked} data sources were found");
}

#[test]
fn every_assay_hcl_that_users_copy_is_right() {
    let mut paths = Vec::new();
    files(&root(), &mut paths);
    paths.retain(|path| path.file_name().is_some_and(|name| name == "assay.hcl"));
    assert!(!paths.is_empty(), "no assay.hcl was found");
    for path in paths {
        let output = Command::new(env!("CARGO_BIN_EXE_assay")).arg("lint").arg(&path).output().expect("assay runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{}: {text}", path.display());
    }
}

/// The templates in `packer/` of a workshop, which is a copy of ours.
fn templates(workshop: &Workshop) -> Vec<String> {
    let names = fs::read_dir(workshop.path().join("packer")).expect("a folder");
    let mut names: Vec<String> =
        names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".pkr.hcl"));
    names.sort();
    assert_eq!(names, ["app.pkr.hcl", "base.pkr.hcl", "minimal.pkr.hcl"]);
    names.into_iter().map(|name| format!("packer/{name}")).collect()
}

/// What must hold of every template, with Packer's own word for it: all plugins are the real ones, nothing is asked of a cloud or a lock.
fn every_template_is_valid_by(version: &str) {
    let workshop = Workshop::offline(version);
    // Suites lie within the repository: that of the template in a subfolder names ours above it.
    let made = Command::new("git").args(["init", "-q"]).current_dir(workshop.path()).status().expect("git runs");
    assert!(made.success(), "git init");
    for template in templates(&workshop) {
        let valid = workshop.packer(&["validate", &template]).expect(0);
        // 1.7.10 says nothing more; in the others a deprecation would be a warning.
        assert!(!valid.text.contains("Warning"), "{template}: {}", valid.text);
    }
    for variables in [["-var", "architectures=[\"x86_64\", \"arm64\"]"], ["-var", "architectures=[\"arm64\"]"]] {
        workshop.packer(&["validate", variables[0], variables[1], "packer/base.pkr.hcl"]).expect(0);
    }
    workshop.packer(&["validate", "-var", "architecture=arm64", "packer/app.pkr.hcl"]).expect(0);
}

#[test]
fn every_template_is_valid_and_formatted() {
    every_template_is_valid_by("recent");
    Workshop::offline("recent").packer(&["fmt", "-check", "-diff", "packer"]).expect(0);
}

/// Run by `make test-packers`, which builds these Packers.
mod older_packers {
    #[test]
    fn find_every_template_valid() {
        for version in ["1.11.2", "1.7.10"] {
            super::every_template_is_valid_by(version);
        }
    }
}

/// `packer validate` looks gold up only where it is told to.
#[test]
fn evaluating_the_data_source_needs_the_lock() {
    let workshop = Workshop::offline("recent");
    let evaluated = ["validate", "-evaluate-datasources", "packer/app.pkr.hcl"];
    workshop.packer(&evaluated).expect(1).says("base has no gold yet");
    let lock = fs::read_to_string(root().join("tests/fixtures/gold/images/base.lock.hcl")).expect("kept");
    workshop.write("images/base.lock.hcl", &lock);
    workshop.packer(&evaluated).expect(0);
    workshop.write("images/base.lock.hcl", &lock.replacen("11:00:00Z", "11:00:01Z", 1));
    let changed = workshop.packer(&evaluated).expect(1);
    changed.says("base.lock.hcl:").says("the chain is broken");
}
