//! Variables for suites: YAML or JSON files and a text given inline, as goss's `--vars` and `--vars-inline` (goss v0.4.9:
//! store.go, loadVars). It owns their order: a later file outweighs an earlier one, the inline text all files, each by
//! whole top-level keys. Files of variables are no templates.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    dict::{DictKey, TemplateDict},
    value::{self, TemplateValue},
};
use crate::{
    bounds::{NamedBy, SuiteBounds},
    diagnostic::{SourceDiagnostic, SourceText},
    goss,
    reach::ReadableFolders,
    tree::{FileMistakes, SourceEntry, SourceNode, SourceValue as Read_},
};

/// The largest file of variables.
const MAX_BYTES: u64 = 1 << 20;
/// How the inline text is named in messages.
const INLINE: &str = "--vars-inline";

/// Where variables come from, and what they and the suites may be read from.
#[derive(Debug, Clone, Default)]
pub struct VarSources {
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// YAML or JSON files, each a map.
    pub files: Vec<PathBuf>,
    /// YAML or JSON, a map.
    pub inline: Option<String>,
    /// What suites and variables may read.
    pub bounds: SuiteBounds,
}

/// The variables.
#[derive(Debug, Clone)]
pub(crate) struct TemplateVars {
    /// As a template sees them; each rendering of a suite gets a copy of its own, because templates can change it.
    pub dict: TemplateDict,
    /// As an HCL suite sees them.
    pub entries: Vec<SourceEntry>,
    /// All sources' bytes, for the digest.
    pub bytes: Vec<u8>,
}

impl Default for TemplateVars {
    fn default() -> Self {
        Self { dict: TemplateDict::of_anything(Default::default()), entries: Vec::new(), bytes: Vec::new() }
    }
}

/// Reads all variables, or tells every mistake in every source.
pub(crate) fn load(sources: &VarSources) -> Result<TemplateVars, Vec<SourceDiagnostic>> {
    let mut vars = TemplateVars::default();
    let mut values = std::collections::BTreeMap::new();
    let mut mistakes = Vec::new();
    let reach = ReadableFolders::of_folder(&sources.folder, &sources.bounds);
    let read = |path: &Path| file(&reach, sources.bounds.vars, &sources.folder.join(path), path);
    let files = sources.files.iter().map(|path| (path.as_path(), read(path)));
    let inline = sources.inline.iter().map(|text| (Path::new(INLINE), Ok((text.clone(), false))));
    for (path, text) in files.chain(inline) {
        let (text, outside) = match text {
            Ok(read) => read,
            Err(mistake) => {
                mistakes.push(mistake);
                continue;
            }
        };
        match entries(path, &text) {
            Ok(entries) => {
                let floats = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                for entry in entries {
                    values.insert(DictKey::from(entry.name.as_str()), value::from_node(&entry.node, &text, floats));
                    vars.entries.retain(|other| other.name != entry.name);
                    vars.entries.push(entry);
                }
                vars.bytes.extend((text.len() as u64).to_be_bytes());
                vars.bytes.extend(text.as_bytes());
            }
            Err(mut found) => {
                if outside {
                    found.iter_mut().for_each(SourceDiagnostic::hide_text);
                }
                mistakes.extend(found);
            }
        }
    }
    vars.dict = TemplateDict::of_anything(values);
    if value::weigh(&TemplateValue::Dict(vars.dict.clone())).is_none() {
        mistakes.push(SourceDiagnostic::file(
            Path::new("variables"),
            "they are too large or too deep",
            Some("keep them below 1 MiB"),
        ));
    }
    if mistakes.is_empty() { Ok(vars) } else { Err(mistakes) }
}

fn entries(path: &Path, text: &str) -> Result<Vec<SourceEntry>, Vec<SourceDiagnostic>> {
    let mut findings = FileMistakes::new(SourceText { path, text });
    let root = goss::parse(&mut findings, "this is neither YAML nor JSON");
    if !findings.list.is_empty() {
        return Err(findings.list);
    }
    match root {
        None => Ok(Vec::new()),
        Some(SourceNode { value: Read_::Null, .. }) => Ok(Vec::new()),
        Some(SourceNode { value: Read_::Map(entries), .. }) => Ok(entries),
        Some(other) => {
            let label = format!("this is {}", other.kind());
            findings.wrong(&other.span, "variables are a map", label, Some("for example: user: app"));
            Err(findings.list)
        }
    }
}

/// The text of a file, and whether it lies outside of the repository.
fn file(reach: &ReadableFolders, by: NamedBy, from: &Path, named: &Path) -> Result<(String, bool), SourceDiagnostic> {
    let looked = format!("looked for {}", from.display());
    let wrong = |title: &str| SourceDiagnostic::file(named, title, Some(&looked));
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => wrong("no such file of variables"),
        _ => wrong(&format!("the variables cannot be read: {error}")),
    };
    let kind = std::fs::metadata(from).map_err(unreadable)?;
    let admitted = reach.admit_as(from, by).map_err(|why| wrong(&format!("the variables cannot be read: {why}")))?;
    if !kind.is_file() {
        return Err(wrong("not a file"));
    }
    let mut bytes = Vec::new();
    File::open(&admitted.path).map_err(unreadable)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong("larger than 1 MiB"));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| wrong(&format!("byte {} is not UTF-8", error.utf8_error().valid_up_to())))?;
    Ok((text, admitted.outside))
}
