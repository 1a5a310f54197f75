//! Reads assay.hcl into [`ConfigFile`], keeping the line of each value, and collects every mistake of the file.

use std::path::{Path, PathBuf};

use hcl_edit::{
    Span,
    structure::{Attribute, Block, Body, Structure},
};
use serde_json::{Map, Value as Json};

use super::{ConfigFile, GitDecl, ImageDecl, PromotionDecl, family, literal::literal};
use crate::{
    options::{self, OptionDecl, OptionKind, OptionSection},
    problem::{ConfigProblem, ValuePlace},
    raw::OptionLayer,
};
use assay_model::ImageName;
use assay_suite::{ReadableFolders, SuiteBounds};

/// The most images that one file declares.
const MOST_IMAGES: usize = 1_000;
const TOO_MANY: &str = "more";
/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Reads the file at `path`, which messages call `shown`. Mistakes are added to `problems`; `None` only where nothing of the file can be used.
pub fn read(path: &Path, shown: &Path, problems: &mut Vec<ConfigProblem>) -> Option<ConfigFile> {
    if path.exists()
        && let Err(why) =
            ReadableFolders::of_folder(path.parent().unwrap_or(path), &SuiteBounds::default()).admit_named(path)
    {
        let message = format!("cannot read {}: {why}", shown.display());
        problems.push(ConfigProblem::new(ValuePlace::Nowhere, "config", message));
        return None;
    }
    let text = std::fs::metadata(path)
        .and_then(|meta| if meta.len() > LONGEST { Err(too_long()) } else { std::fs::read_to_string(path) });
    match text {
        Ok(text) => parse(path, shown, &text, problems),
        Err(error) => {
            let message = format!("cannot read {}: {error}", shown.display());
            problems.push(ConfigProblem::new(ValuePlace::Nowhere, "config", message));
            None
        }
    }
}

fn too_long() -> std::io::Error {
    std::io::Error::other("it is longer than 1 MiB")
}

/// Reads `text` as the file at `path`; see [`read`].
pub fn parse(path: &Path, shown: &Path, text: &str, problems: &mut Vec<ConfigProblem>) -> Option<ConfigFile> {
    let body = match hcl_edit::parser::parse_body(text) {
        Ok(body) => body,
        Err(error) => {
            let at = error.location();
            let message = format!("no valid HCL at column {}: {}", at.column(), error.message());
            problems.push(ConfigProblem::in_file(shown, at.line(), "", message));
            return None;
        }
    };
    let file = FileReader { path, shown, text, problems }.file(&body);
    family::check(&file, problems);
    Some(file)
}

pub(super) struct FileReader<'a> {
    path: &'a Path,
    shown: &'a Path,
    pub(super) text: &'a str,
    problems: &'a mut Vec<ConfigProblem>,
}

impl FileReader<'_> {
    fn file(&mut self, body: &Body) -> ConfigFile {
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut file = ConfigFile {
            shown: self.shown.to_owned(),
            folder,
            options: OptionLayer::default(),
            git: GitDecl::default(),
            promotion: PromotionDecl::default(),
            images: Vec::new(),
        };
        let (mut access, mut git, mut promotion) = (0, 0, 0);
        for structure in body {
            match (name_of(structure), structure) {
                ("image", Structure::Block(block)) => self.image(block, &mut file.images),
                ("access", Structure::Block(block)) => {
                    self.once(&mut access, block);
                    self.plain_section(OptionSection::Access, block, &mut file.options);
                }
                ("git", Structure::Block(block)) => {
                    self.once(&mut git, block);
                    self.git(block, &mut file.git);
                }
                ("promotion", Structure::Block(block)) => {
                    self.once(&mut promotion, block);
                    self.promotion(block, &mut file.promotion);
                }
                _ => {
                    let others = ["image", "access", "git", "promotion"];
                    self.option(OptionSection::Top, &others, structure, &mut file.options);
                }
            }
        }
        file
    }

    fn image(&mut self, block: &Block, images: &mut Vec<ImageDecl>) {
        let line = self.line(block);
        let Some(label) = self.label(block, "the image's name, like image \"base\"") else { return };
        let name = match label.parse::<ImageName>() {
            Ok(name) => name,
            Err(error) => return self.problem(line, format!("image {label:?}"), error.to_string()),
        };
        if images.len() >= MOST_IMAGES {
            if images.len() == MOST_IMAGES && !self.problems.iter().any(|known| known.message.contains(TOO_MANY)) {
                self.problem(
                    line,
                    format!("image {label:?}"),
                    format!("{TOO_MANY} than {MOST_IMAGES} images are declared"),
                );
            }
            return;
        }
        if let Some(first) = images.iter().find(|image| image.name == name) {
            let message = format!("is declared twice; the first is on line {}", first.line);
            return self.problem(line, format!("image {label:?}"), message);
        }
        let mut image = ImageDecl {
            name,
            line,
            options: OptionLayer::default(),
            gold_suites: Vec::new(),
            parent: None,
            max_age: None,
            regions: Vec::new(),
            architectures: Vec::new(),
            build: None,
            distribution: Default::default(),
            retention: Default::default(),
            projections: Vec::new(),
        };
        let mut seen = [0; 4];
        for structure in &block.body {
            self.in_image(structure, &mut image, &mut seen);
        }
        images.push(image);
    }

    fn in_image(&mut self, structure: &Structure, image: &mut ImageDecl, seen: &mut [usize; 4]) {
        match (name_of(structure), structure) {
            ("suites", Structure::Block(block)) => {
                self.once(&mut seen[0], block);
                self.suites(block, image);
            }
            ("ssh", Structure::Block(block)) => {
                self.once(&mut seen[1], block);
                self.plain_section(OptionSection::Ssh, block, &mut image.options);
            }
            ("launch", Structure::Block(block)) => {
                self.once(&mut seen[2], block);
                self.plain_section(OptionSection::Launch, block, &mut image.options);
            }
            ("retention", Structure::Block(block)) => {
                self.once(&mut seen[3], block);
                self.retention(block, &mut image.retention);
            }
            _ if self.of_manager(structure, image) => {}
            _ => {
                let blocks = ["suites", "ssh", "launch", "retention"];
                let others: Vec<&str> = blocks.into_iter().chain(super::read_manager::IN_IMAGE).collect();
                self.option(OptionSection::Image, &others, structure, &mut image.options);
            }
        }
    }

    fn suites(&mut self, block: &Block, image: &mut ImageDecl) {
        for structure in &block.body {
            match (name_of(structure), structure) {
                ("gold", Structure::Attribute(attribute)) => {
                    let line = self.line(attribute);
                    let mut layer = OptionLayer::default();
                    let Some(value) = self.value(attribute, "suites.gold") else { continue };
                    let decl = options::find("suites").expect("the option `suites` is declared");
                    let place = ValuePlace::File { path: self.shown.to_owned(), line };
                    layer.give(decl, &value, place, "suites.gold".to_owned(), self.problems);
                    image.gold_suites = layer.given.remove("suites").map_or_else(Vec::new, |given| paths(&given.value));
                }
                _ => self.option(OptionSection::Suites, &["gold"], structure, &mut image.options),
            }
        }
    }

    /// A block that holds nothing but options.
    fn plain_section(&mut self, section: OptionSection, block: &Block, layer: &mut OptionLayer) {
        if !block.labels.is_empty() {
            self.problem(self.line(block), block.ident.as_str(), "takes no label");
        }
        for structure in &block.body {
            self.option(section, &[], structure, layer);
        }
    }

    /// One option, or a name that is none; `others` are names in this place that are no options.
    pub(super) fn option(
        &mut self,
        section: OptionSection,
        others: &[&str],
        structure: &Structure,
        layer: &mut OptionLayer,
    ) {
        let name = name_of(structure);
        let line = self.line(structure);
        let shown = section.shown(name);
        let Some(option) = options::in_file(section, name) else {
            let message = match structure {
                Structure::Attribute(_) if others.contains(&name) => match name {
                    "image" | "projection" => format!("is a block; write {name} \"…\" {{ … }}"),
                    _ => format!("is a block; write {name} {{ … }}"),
                },
                Structure::Block(_) if others.contains(&name) => format!("is no block; write {name} = …"),
                _ => self.no_option(section, others, name),
            };
            return self.problem(line, shown, message);
        };
        if let Some(sentence) = option.refused {
            return self.problem(line, shown, format!("is not supported: {sentence}"));
        }
        if option.secret {
            let message = "must not stand in a file that is kept in git; use `profile`, or the environment";
            return self.problem(line, shown, message);
        }
        let Some(value) = self.option_value(option, structure, &shown) else { return };
        if layer.given.contains_key(option.name) {
            return self.problem(line, shown, "is given twice");
        }
        let place = ValuePlace::File { path: self.shown.to_owned(), line };
        layer.give(option, &value, place, shown, self.problems);
    }

    fn option_value(&mut self, option: &OptionDecl, structure: &Structure, shown: &str) -> Option<Json> {
        match (structure, option.kind) {
            (Structure::Attribute(_), OptionKind::Block(_) | OptionKind::BlockList(_)) => {
                self.problem(self.line(structure), shown, format!("is a block; write {} {{ … }}", name_of(structure)));
                None
            }
            (Structure::Attribute(attribute), _) => self.value(attribute, shown),
            (Structure::Block(block), OptionKind::Block(_) | OptionKind::BlockList(_)) => {
                let mut object = Map::new();
                for inner in block.body.blocks() {
                    self.problem(self.line(inner), format!("{shown}.{}", inner.ident.as_str()), "is not known here");
                }
                for attribute in block.body.attributes() {
                    let name = attribute.key.as_str();
                    object.insert(name.to_owned(), self.value(attribute, &format!("{shown}.{name}"))?);
                }
                Some(Json::Object(object))
            }
            (Structure::Block(_), kind) => {
                let message = format!("is {}; write {} = …", kind.words(), name_of(structure));
                self.problem(self.line(structure), shown, message);
                None
            }
        }
    }

    /// What to say of a name that is no option in `section`.
    fn no_option(&self, section: OptionSection, others: &[&str], name: &str) -> String {
        let prefixed = format!("ssh_{name}");
        let elsewhere = options::find(name).or_else(|| match section {
            OptionSection::Ssh => options::find(&prefixed),
            _ => None,
        });
        match elsewhere {
            Some(OptionDecl { refused: Some(sentence), .. }) => format!("is not supported: {sentence}"),
            Some(OptionDecl { file: Some((place, there)), .. }) => {
                format!("belongs elsewhere: write {}", place.place(there))
            }
            Some(_) => "belongs in the Packer template".to_owned(),
            None => {
                let in_section = options::all().filter_map(|option| match option.file {
                    Some((place, name)) if place == section && option.refused.is_none() => Some(name),
                    _ => None,
                });
                let known: Vec<&str> = in_section.chain(others.iter().copied()).collect();
                unknown(name, &known)
            }
        }
    }

    pub(super) fn value(&mut self, attribute: &Attribute, shown: &str) -> Option<Json> {
        literal(&attribute.value, self.text)
            .map_err(|wrong| {
                let line = wrong.span.map_or_else(|| self.line(attribute), |span| self.line_at(span.start));
                self.problem(line, shown, wrong.message);
            })
            .ok()
    }

    pub(super) fn text(&mut self, attribute: &Attribute, shown: &str) -> Option<(usize, String)> {
        let line = self.line(attribute);
        match self.value(attribute, shown)? {
            Json::String(text) if !text.is_empty() => Some((line, text)),
            other => {
                self.problem(line, shown, format!("{other} is not a string"));
                None
            }
        }
    }

    pub(super) fn label(&mut self, block: &Block, what: &str) -> Option<String> {
        match block.labels.as_slice() {
            [label] => Some(label.as_str().to_owned()),
            labels => {
                let message = format!("needs one label, {what}; it has {}", labels.len());
                self.problem(self.line(block), block.ident.as_str(), message);
                None
            }
        }
    }

    pub(super) fn once(&mut self, count: &mut usize, block: &Block) {
        *count += 1;
        if *count > 1 {
            self.problem(self.line(block), block.ident.as_str(), "is declared twice");
        }
    }

    pub(super) fn problem(&mut self, line: usize, option: impl Into<String>, message: impl Into<String>) {
        self.problems.push(ConfigProblem::in_file(self.shown, line, option, message));
    }

    pub(super) fn line(&self, spanned: &impl Span) -> usize {
        spanned.span().map_or(1, |span| self.line_at(span.start))
    }

    fn line_at(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

pub(super) fn name_of(structure: &Structure) -> &str {
    match structure {
        Structure::Attribute(attribute) => attribute.key.as_str(),
        Structure::Block(block) => block.ident.as_str(),
    }
}

pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    match options::nearest(name, known.iter().copied()) {
        Some(near) => format!("there is no such name here; did you mean {near:?}?"),
        None => format!("there is no such name here; known are {}", known.join(", ")),
    }
}

fn paths(value: &Json) -> Vec<PathBuf> {
    value.as_array().into_iter().flatten().filter_map(Json::as_str).map(PathBuf::from).collect()
}
