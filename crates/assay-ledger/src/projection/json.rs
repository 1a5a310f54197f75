//! JSON text as a tree with spans. serde_json judges whether it is JSON; here only the places are found.

use std::collections::HashSet;

use super::{
    format::WrongContent,
    tree::{ProjectionEntry, ProjectionNode, ProjectionNodeKind},
};

/// The document, which must be an object.
pub(super) fn parse(text: &str) -> Result<ProjectionNode, WrongContent> {
    let judged: Result<serde_json::Value, _> = serde_json::from_str(text);
    match judged {
        Ok(value) if value.is_object() => Ok(JsonScan { text, at: 0 }.value()),
        Ok(_) => Err((0, "the document must be an object".to_owned())),
        Err(error) => {
            let place = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
            Err((place, format!("not valid JSON: {error}")))
        }
    }
}

/// Of entries with one key the last: serde_json and Terraform let it win.
fn last_of_each(mut entries: Vec<ProjectionEntry>) -> Vec<ProjectionEntry> {
    let mut known = HashSet::new();
    entries.reverse();
    entries.retain(|entry| known.insert(entry.key.clone()));
    entries.reverse();
    entries
}

/// Reads text that is known to be JSON.
struct JsonScan<'t> {
    text: &'t str,
    at: usize,
}

impl JsonScan<'_> {
    fn value(&mut self) -> ProjectionNode {
        self.space();
        let start = self.at;
        match self.peek() {
            b'{' => {
                let entries = self.object();
                ProjectionNode::Map { span: start..self.at, kind: ProjectionNodeKind::Braces, entries }
            }
            b'"' => {
                let text = self.string();
                ProjectionNode::Text { span: start..self.at, text }
            }
            b'[' => {
                self.list();
                ProjectionNode::Other { span: start..self.at, what: "a list" }
            }
            b'n' => {
                self.word();
                ProjectionNode::Text { span: start..self.at, text: String::new() }
            }
            _ => {
                self.word();
                ProjectionNode::Other { span: start..self.at, what: "a number or flag" }
            }
        }
    }

    fn object(&mut self) -> Vec<ProjectionEntry> {
        let mut entries = Vec::new();
        self.at += 1;
        loop {
            self.space();
            match self.peek() {
                b'"' => {
                    let start = self.at;
                    let key = self.string();
                    let key_span = start..self.at;
                    self.space();
                    self.at += 1;
                    let value = self.value();
                    entries.push(ProjectionEntry { key, key_span, value });
                }
                b',' => self.at += 1,
                _ => {
                    self.at += 1;
                    return last_of_each(entries);
                }
            }
        }
    }

    fn list(&mut self) {
        self.at += 1;
        loop {
            self.space();
            match self.peek() {
                b',' => self.at += 1,
                b']' | 0 => {
                    self.at += 1;
                    return;
                }
                _ => {
                    self.value();
                }
            }
        }
    }

    fn string(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                b'\\' => self.at += 2,
                b'"' | 0 => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(start..self.at).and_then(|literal| serde_json::from_str(literal).ok()).unwrap_or_default()
    }

    fn word(&mut self) {
        while !matches!(self.peek(), b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' | 0) {
            self.at += 1;
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// The byte here; 0 behind the end, which JSON text does not hold.
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }
}
