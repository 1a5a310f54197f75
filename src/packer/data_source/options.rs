//! The options of `data "assay-image"`: their specification, and their mistakes in the user's words. It refuses to read locks.

use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use crate::manager::GoldRequest;
use assay_ledger::GitEnvironment;
use assay_model::{Architecture, ImageName, Region};
use packer_plugin::{AttributeKind, OptionsSpec, config::UNKNOWN};

/// Where the region comes from when the block names none, in the order of the AWS SDKs.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// What the process brings.
#[derive(Debug, Clone)]
pub(super) struct ProcessSurroundings {
    /// What relative paths start from.
    pub working_dir: PathBuf,
    /// The environment.
    pub environment: GitEnvironment,
}

/// The options as they are understood. What Packer does not know yet is missing; it is never executed so.
#[derive(Debug, Clone)]
pub(super) struct DataSourceOptions {
    image: Option<ImageName>,
    region: Option<Region>,
    architecture: Architecture,
    config: Option<PathBuf>,
    reference: Option<String>,
    surroundings: ProcessSurroundings,
}

/// The block's options.
pub(super) fn spec() -> OptionsSpec {
    OptionsSpec::new()
        .required("image", AttributeKind::String)
        .optional("region", AttributeKind::String)
        .optional("architecture", AttributeKind::String)
        .optional("config", AttributeKind::String)
        .optional("ref", AttributeKind::String)
}

impl DataSourceOptions {
    /// Reads the options; the error names every mistake, one a line.
    pub(super) fn read(given: &Map<String, Json>, surroundings: &ProcessSurroundings) -> Result<Self, String> {
        let mut mistakes = Vec::new();
        let architecture = parsed(given, "architecture", &mut mistakes).unwrap_or(Architecture::X86_64);
        let options = Self {
            image: parsed(given, "image", &mut mistakes),
            region: parsed(given, "region", &mut mistakes),
            architecture,
            config: text(given, "config").map(PathBuf::from),
            reference: text(given, "ref").map(str::to_owned),
            surroundings: surroundings.clone(),
        };
        if text_or_unknown(given, "image").is_none() {
            mistakes.push("image: names the image line whose gold is wanted, like \"base\"".to_owned());
        }
        if text_or_unknown(given, "region").is_none()
            && let Err(mistake) = region_of(&surroundings.environment)
        {
            mistakes.push(mistake);
        }
        if let Some(config) = &options.config
            && !surroundings.working_dir.join(config).is_file()
        {
            mistakes.push(format!("config: there is no file {}", config.display()));
        }
        if mistakes.is_empty() { Ok(options) } else { Err(mistakes.join("\n")) }
    }

    /// What to look up at `now`. Fails where Packer executes before it knows the values.
    pub(super) fn request(self, now: jiff::Timestamp) -> Result<GoldRequest, String> {
        let ProcessSurroundings { working_dir, environment } = self.surroundings;
        let region = match self.region {
            Some(region) => region,
            None => region_of(&environment)?,
        };
        Ok(GoldRequest {
            image: self.image.ok_or("image: its value is not known when the template is evaluated")?,
            region,
            architecture: self.architecture,
            config: self.config,
            reference: self.reference,
            working_dir,
            environment,
            now,
        })
    }
}

/// An option's text; an empty one counts as left out, as in the amazon plugin.
fn text_or_unknown<'a>(given: &'a Map<String, Json>, name: &str) -> Option<&'a str> {
    given.get(name).and_then(Json::as_str).filter(|text| !text.is_empty())
}

/// The same without what Packer does not know yet.
fn text<'a>(given: &'a Map<String, Json>, name: &str) -> Option<&'a str> {
    text_or_unknown(given, name).filter(|text| !text.contains(UNKNOWN))
}

fn parsed<T>(given: &Map<String, Json>, name: &str, mistakes: &mut Vec<String>) -> Option<T>
where
    T: std::str::FromStr<Err = assay_model::IdError>,
{
    match text(given, name)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            mistakes.push(format!("{name}: {error}"));
            None
        }
    }
}

/// The region in which this process's AWS tools work.
fn region_of(environment: &GitEnvironment) -> Result<Region, String> {
    let found =
        REGION_VARIABLES.iter().find_map(|name| Some((name, environment.get(*name).filter(|v| !v.is_empty())?)));
    match found {
        Some((name, value)) => value.parse().map_err(|error| format!("{name}: {error}")),
        None => {
            Err("region: is not given, and neither AWS_REGION nor AWS_DEFAULT_REGION is set; an AMI is of one region, \
                     name it like region = \"us-east-1\""
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: Json, environment: &[(&str, &str)]) -> Result<GoldRequest, String> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let surroundings = ProcessSurroundings { working_dir: std::env::temp_dir(), environment };
        let options = DataSourceOptions::read(options.as_object().expect("an object"), &surroundings)?;
        options.request(jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let request = read(json!({"image": "base", "region": "us-east-1"}), &[]).expect("right");
        assert_eq!((request.image.as_str(), request.region.as_str()), ("base", "us-east-1"));
        assert_eq!((request.architecture, request.config, request.reference), (Architecture::X86_64, None, None));
        let named = json!({"image": "base", "region": "", "architecture": "arm64", "ref": "origin/main"});
        let environment = [("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-west-1")];
        let request = read(named, &environment).expect("right");
        assert_eq!((request.region.as_str(), request.architecture), ("eu-west-1", Architecture::Arm64));
        assert_eq!(request.reference.as_deref(), Some("origin/main"));
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let wrong = json!({"image": "Base image", "architecture": "amd64", "config": "no/such/assay.hcl"});
        let text = read(wrong, &[]).expect_err("wrong");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        for words in ["Base image", "\"amd64\" is not an architecture; expected x86_64 or arm64", "no/such/assay.hcl"] {
            assert!(text.contains(words), "{words:?} in {text}");
        }
        assert!(text.contains("neither AWS_REGION nor AWS_DEFAULT_REGION"), "{text}");
        let text = read(json!({"region": "us-east-1"}), &[]).expect_err("wrong");
        assert!(text.starts_with("image: names the image line"), "{text}");
        let text = read(json!({"image": "base"}), &[("AWS_REGION", "Oregon")]).expect_err("wrong");
        assert!(text.starts_with("AWS_REGION: \"Oregon\""), "{text}");
    }

    /// `packer validate` with variables that have no value yet.
    #[test]
    fn what_is_not_known_yet_is_no_mistake() {
        let surroundings =
            ProcessSurroundings { working_dir: std::env::temp_dir(), environment: GitEnvironment::new() };
        let unknown = json!({"image": UNKNOWN, "region": UNKNOWN, "architecture": UNKNOWN, "config": UNKNOWN});
        let options =
            DataSourceOptions::read(unknown.as_object().expect("an object"), &surroundings).expect("no mistake");
        assert!(options.request(jiff::Timestamp::UNIX_EPOCH).is_err(), "but nothing is looked up by it");
    }
}
