//! Parts of paths, without looking at any file (Sprig: functions.go; Go's package path).

use super::{super::value::TemplateValue, TemplateFunction, arguments::text, function};

pub(super) const FUNCTIONS: &[TemplateFunction] = &[
    function("base", 1, 1, |a| Ok(base(text(a, 0)?).into())),
    function("osBase", 1, 1, |a| Ok(base(text(a, 0)?).into())),
    function("dir", 1, 1, |a| Ok(dir(text(a, 0)?).into())),
    function("osDir", 1, 1, |a| Ok(dir(text(a, 0)?).into())),
    function("clean", 1, 1, |a| Ok(clean(text(a, 0)?).into())),
    function("osClean", 1, 1, |a| Ok(clean(text(a, 0)?).into())),
    function("ext", 1, 1, |a| Ok(ext(text(a, 0)?).into())),
    function("osExt", 1, 1, |a| Ok(ext(text(a, 0)?).into())),
    function("isAbs", 1, 1, |a| Ok(TemplateValue::Bool(text(a, 0)?.starts_with('/')))),
    function("osIsAbs", 1, 1, |a| Ok(TemplateValue::Bool(text(a, 0)?.starts_with('/')))),
];

fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    match path.trim_end_matches('/').rsplit('/').next() {
        Some("") | None => "/",
        Some(last) => last,
    }
}

fn dir(path: &str) -> String {
    clean(&path[..path.rfind('/').map_or(0, |at| at + 1)])
}

fn ext(path: &str) -> &str {
    let last = &path[path.rfind('/').map_or(0, |at| at + 1)..];
    last.rfind('.').map_or("", |at| &last[at..])
}

fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".to_owned(),
        (false, rest) => rest,
    }
}
