//! JSON as Go's encoding/json writes it: keys sorted, floating numbers with an exponent only far from 1.

use super::{
    dict::DictKey,
    value::{TemplateValue, float_text},
};

/// How JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JsonStyle {
    /// One value per line, indented by two.
    pub pretty: bool,
    /// `<`, `>` and `&` are escaped, so that it can stand in HTML.
    pub html: bool,
}

/// The value as JSON. Fails, as in Go, at a number that is none and at a dict whose keys are no texts.
pub(super) fn text(value: &TemplateValue, style: JsonStyle) -> Result<String, String> {
    let mut out = String::new();
    write(value, style, 0, &mut out)?;
    Ok(out)
}

fn write(value: &TemplateValue, style: JsonStyle, depth: usize, out: &mut String) -> Result<(), String> {
    match value {
        TemplateValue::Nil => out.push_str("null"),
        TemplateValue::Bool(it) => out.push_str(if *it { "true" } else { "false" }),
        TemplateValue::Int(number) | TemplateValue::Int64(number) => out.push_str(&number.to_string()),
        TemplateValue::Uint(number) => out.push_str(&number.to_string()),
        TemplateValue::Float(float) => out.push_str(&float_in_json(*float)?),
        TemplateValue::Text(text) => write_text(text, style, out),
        TemplateValue::List(list) => {
            let items = list.items.iter().map(|item| (None, item.clone()));
            write_all(items.collect(), ('[', ']'), style, depth, out)?;
        }
        TemplateValue::Dict(dict) => {
            let mut entries = Vec::with_capacity(dict.len());
            for (key, value) in dict.entries() {
                let DictKey::Text(key) = key else { return Err("in JSON the keys of a dict are texts".to_owned()) };
                entries.push((Some(key), value));
            }
            write_all(entries, ('{', '}'), style, depth, out)?;
        }
        TemplateValue::Root(_) => return Err("the whole of . has no form in JSON".to_owned()),
    }
    Ok(())
}

type JsonEntry = (Option<std::sync::Arc<str>>, TemplateValue);

fn write_all(
    entries: Vec<JsonEntry>,
    (open, close): (char, char),
    style: JsonStyle,
    depth: usize,
    out: &mut String,
) -> Result<(), String> {
    let new_line = |depth: usize, out: &mut String| {
        if style.pretty {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        }
    };
    out.push(open);
    let empty = entries.is_empty();
    for (at, (key, value)) in entries.into_iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        new_line(depth + 1, out);
        if let Some(key) = key {
            write_text(&key, style, out);
            out.push_str(if style.pretty { ": " } else { ":" });
        }
        write(&value, style, depth + 1, out)?;
    }
    if !empty {
        new_line(depth, out);
    }
    out.push(close);
    Ok(())
}

fn write_text(text: &str, style: JsonStyle, out: &mut String) {
    for c in serde_json::Value::from(text).to_string().chars() {
        match c {
            '<' | '>' | '&' if style.html => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            // JavaScript once took these for ends of lines.
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

fn float_in_json(float: f64) -> Result<String, String> {
    if !float.is_finite() {
        return Err(format!("{} has no form in JSON", float_text(float)));
    }
    if float == 0.0 || (1e-6..1e21).contains(&float.abs()) {
        return Ok(format!("{float}"));
    }
    let text = format!("{float:e}");
    Ok(match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    })
}
