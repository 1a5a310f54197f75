//! Projections: the gold AMI ids, written into files that other tools read: tfvars, pkrvars and other HCL, JSON, YAML. It owns which ids go
//! where in a file; it refuses to touch anything but the value of one variable: comments, order, indentation and line ends of all else stay
//! byte for byte, since edits are made by the spans of a parsed file, and what was made is parsed again and compared.

mod edit;
mod format;
mod hcl;
mod json;
#[cfg(test)]
mod tests;
mod tree;
mod yaml;

use std::{collections::BTreeMap, path::Path};

use edit::{TextEditor, rendered};
use format::{ProjectionFormat, nested};
use tree::{FoundNode, WantedNode};

use assay_config::file::ProjectionDecl;
use assay_model::{AmiRecord, Architecture, Region, escape::escape_line};

/// The largest file that is edited, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// A file that the ids cannot be written into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct ProjectionError {
    /// The file, as the projection names it.
    pub file: String,
    /// 1-based; the projection's own line in assay.hcl has nothing to do with it.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The bytes of the file at `path` with the ids of `gold` (a run's AMIs, at most one for an architecture and region) in the projection's variable.
/// `old` is what the file holds now; none: there is no such file. A file that says all of it already comes back as it is.
///
/// The variable may be a path, like `images.base.ami`. With region and architecture given its value is one id; else a map from region to id, or, for AMIs
/// of several architectures (or an image that declares several), from architecture to such a map. A value of another shape is replaced if assay can see that nothing is lost: a plain string, null, or a map of
/// AMI ids; anything computed is refused. Fails with file and line also where gold has no AMI for it, or the file is none of the kinds.
pub fn apply(
    path: &Path,
    old: Option<&[u8]>,
    projection: &ProjectionDecl,
    architectures: &[Architecture],
    gold: &[AmiRecord],
) -> Result<Vec<u8>, ProjectionError> {
    let file = path.to_string_lossy().into_owned();
    let error = |line, message: String| ProjectionError { file: file.clone(), line, message };
    let format = ProjectionFormat::of(path).map_err(|message| error(1, message))?;
    let wanted = wanted(projection, architectures, gold).map_err(|message| error(1, message))?;
    let segments: Vec<&str> = projection.variable.split('.').collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return Err(error(1, format!("variable {:?} has an empty part", projection.variable)));
    }
    let Some(old) = old.filter(|bytes| !bytes.iter().all(u8::is_ascii_whitespace)) else {
        let text = format.new_file(path, &segments, &wanted).map_err(|message| error(1, message))?;
        return Ok(text.into_bytes());
    };
    if old.len() > MAX_BYTES {
        return Err(error(1, format!("the file is larger than {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(old).map_err(|wrong| {
        let line = old[..wrong.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        error(line, "the file is not UTF-8".to_owned())
    })?;
    let wrong = |(place, message): (usize, String)| error(line_of(text, place), escape_line(&message));
    let root = format.parse(text).map_err(wrong)?;
    let mut editor = TextEditor::new(format, text);
    match root.find(&segments) {
        FoundNode::Value(node) => editor.set(node, &wanted).map_err(wrong)?,
        FoundNode::Missing { map, rest } => editor.add(map, rest, &wanted).map_err(wrong)?,
        FoundNode::Empty { node, rest } => editor.set(node, &nested(rest, &wanted)).map_err(wrong)?,
        FoundNode::Blocked { at, name } => {
            return Err(error(line_of(text, at), format!("{name} is no map, so {} is not in it", projection.variable)));
        }
    }
    let new = editor.finish();
    holds(format, &new, &segments, &wanted).map_err(|why| {
        let why =
            format!("{} cannot be set here without touching more: {why}; set it by hand once", projection.variable);
        error(1, why)
    })?;
    Ok(new.into_bytes())
}

/// Whether the edited text still parses and says what it should.
fn holds(format: ProjectionFormat, text: &str, segments: &[&str], wanted: &WantedNode) -> Result<(), String> {
    let root = format.parse(text).map_err(|(_, message)| escape_line(&message))?;
    match root.find(segments) {
        FoundNode::Value(node) if node.holds(wanted) => Ok(()),
        _ => Err(format!("it would not read as {}", rendered(ProjectionFormat::Json, wanted, "", "", None))),
    }
}

/// What the variable shall hold.
fn wanted(
    projection: &ProjectionDecl,
    architectures: &[Architecture],
    gold: &[AmiRecord],
) -> Result<WantedNode, String> {
    let chosen = gold
        .iter()
        .filter(|record| projection.region.as_ref().is_none_or(|region| *region == record.ami.region))
        .filter(|record| projection.architecture.is_none_or(|architecture| architecture == record.architecture));
    let mut map: BTreeMap<Architecture, BTreeMap<Region, String>> = BTreeMap::new();
    for record in chosen {
        let regions = map.entry(record.architecture).or_default();
        if let Some(other) = regions.insert(record.ami.region.clone(), record.ami.id.to_string()) {
            return Err(format!("gold has two AMIs for one place: {other} and {}", record.ami.id));
        }
    }
    let ids = |regions: BTreeMap<Region, String>| {
        WantedNode::Map(regions.into_iter().map(|(region, id)| (region.to_string(), WantedNode::Id(id))).collect())
    };
    // The shape follows what is declared, so that it stays through a rollback to a run of before.
    let several = map.len() > 1 || (architectures.len() > 1 && projection.architecture.is_none());
    match map.pop_first() {
        None => Err(nothing(projection)),
        Some((_, mut regions)) if projection.region.is_some() && projection.architecture.is_some() => {
            regions.pop_first().map(|(_, id)| WantedNode::Id(id)).ok_or_else(|| nothing(projection))
        }
        Some((_, regions)) if !several => Ok(ids(regions)),
        Some(first) => {
            let all = std::iter::once(first).chain(map);
            Ok(WantedNode::Map(all.map(|(architecture, regions)| (architecture.to_string(), ids(regions))).collect()))
        }
    }
}

fn nothing(projection: &ProjectionDecl) -> String {
    let architecture = projection.architecture.map(|a| format!(" for {a}")).unwrap_or_default();
    let region = projection.region.as_ref().map(|r| format!(" in {r}")).unwrap_or_default();
    format!("gold has no AMI{architecture}{region}, which {} asks for", projection.variable)
}

fn line_of(text: &str, place: usize) -> usize {
    text.as_bytes()[..place.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}
