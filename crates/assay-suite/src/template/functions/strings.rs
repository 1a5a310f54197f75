//! Texts (Sprig: strings.go, crypto.go for the sums). Positions count bytes, as in Go; a cut inside a character is an
//! error here, where Go would make invalid UTF-8.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::Digest;

use super::{
    super::{
        characters::{self, quoted},
        dict::{DictKey, TemplateDict},
        value::{MAX_WEIGHT, TemplateValue, show},
    },
    FunctionAnswer, MANY, TemplateFunction,
    arguments::{int, text, texts},
    function,
};

pub(super) const FUNCTIONS: &[TemplateFunction] = &[
    function("hello", 0, 0, |_| Ok("Hello!".into())),
    function("trim", 1, 1, |a| Ok(text(a, 0)?.trim().into())),
    function("trimAll", 2, 2, trim_all),
    function("trimall", 2, 2, trim_all),
    function("trimPrefix", 2, 2, |a| Ok(text(a, 1)?.strip_prefix(text(a, 0)?).unwrap_or(text(a, 1)?).into())),
    function("trimSuffix", 2, 2, |a| Ok(text(a, 1)?.strip_suffix(text(a, 0)?).unwrap_or(text(a, 1)?).into())),
    function("upper", 1, 1, |a| Ok(mapped(text(a, 0)?, characters::upper))),
    function("toUpper", 1, 1, |a| Ok(mapped(text(a, 0)?, characters::upper))),
    function("lower", 1, 1, |a| Ok(mapped(text(a, 0)?, characters::lower))),
    function("toLower", 1, 1, |a| Ok(mapped(text(a, 0)?, characters::lower))),
    function("title", 1, 1, |a| Ok(title(text(a, 0)?).into())),
    function("untitle", 1, 1, |a| Ok(untitle(text(a, 0)?).into())),
    function("swapcase", 1, 1, |a| Ok(swapped(text(a, 0)?).into())),
    function("nospace", 1, 1, |a| Ok(text(a, 0)?.split_whitespace().collect::<String>().into())),
    function("initials", 1, 1, |a| Ok(initials(text(a, 0)?).into())),
    function("replace", 3, 3, replace),
    function("contains", 2, 2, |a| Ok(TemplateValue::Bool(text(a, 1)?.contains(text(a, 0)?)))),
    function("hasPrefix", 2, 2, |a| Ok(TemplateValue::Bool(text(a, 1)?.starts_with(text(a, 0)?)))),
    function("hasSuffix", 2, 2, |a| Ok(TemplateValue::Bool(text(a, 1)?.ends_with(text(a, 0)?)))),
    function("quote", 0, MANY, |a| Ok(joined(a, |value| quoted(&show(value), false)))),
    function("squote", 0, MANY, |a| Ok(joined(a, |value| format!("'{}'", show(value))))),
    function("cat", 0, MANY, |a| Ok(joined(a, show))),
    function("indent", 2, 2, |a| Ok(indent(int(a, 0)?, text(a, 1)?)?.into())),
    function("nindent", 2, 2, |a| Ok(format!("\n{}", indent(int(a, 0)?, text(a, 1)?)?).into())),
    function("repeat", 2, 2, |a| Ok(repeat(int(a, 0)?, text(a, 1)?)?.into())),
    function("substr", 3, 3, substr),
    function("trunc", 2, 2, trunc),
    function("abbrev", 2, 2, abbrev),
    function("plural", 3, 3, |a| Ok(if int(a, 2)? == 1 { text(a, 0)? } else { text(a, 1)? }.into())),
    function("split", 2, 2, |a| Ok(numbered(parts(text(a, 0)?, text(a, 1)?, -1)))),
    function("splitn", 3, 3, |a| Ok(numbered(parts(text(a, 0)?, text(a, 2)?, int(a, 1)?)))),
    function("splitList", 2, 2, |a| Ok(TemplateValue::texts(parts(text(a, 0)?, text(a, 1)?, -1)))),
    function("join", 2, 2, |a| Ok(texts(&a[1]).join(text(a, 0)?).into())),
    function("toString", 1, 1, |a| Ok(show(&a[0]).into())),
    function("toStrings", 1, 1, |a| Ok(TemplateValue::texts(texts(&a[0])))),
    function("b64enc", 1, 1, |a| Ok(STANDARD.encode(text(a, 0)?).into())),
    function("b64dec", 1, 1, b64dec),
    function("sha256sum", 1, 1, |a| Ok(hex(&sha2::Sha256::digest(text(a, 0)?)).into())),
    function("sha512sum", 1, 1, |a| Ok(hex(&sha2::Sha512::digest(text(a, 0)?)).into())),
];

fn trim_all(args: &[TemplateValue]) -> FunctionAnswer {
    let cut: Vec<char> = text(args, 0)?.chars().collect();
    Ok(text(args, 1)?.trim_matches(cut.as_slice()).into())
}

fn replace(args: &[TemplateValue]) -> FunctionAnswer {
    let (old, new, from) = (text(args, 0)?, text(args, 1)?, text(args, 2)?);
    let count = if old.is_empty() { from.len() + 1 } else { from.len() / old.len() };
    within(count.saturating_mul(new.len()))?;
    Ok(from.replace(old, new).into())
}

/// Go's strings.Title: the first letter of each word large; a word ends at what is no letter, digit or underscore.
fn title(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .map(|c| {
            let first = !inside;
            inside = c.is_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace());
            if first { characters::title(c) } else { c }
        })
        .collect()
}

fn untitle(text: &str) -> String {
    let mut first = true;
    text.chars()
        .map(|c| {
            let small = first && !c.is_whitespace();
            first = c.is_whitespace() || (first && !small);
            if small { characters::lower(c) } else { c }
        })
        .collect()
}

/// The first letter of a word becomes that of a title, which differs for a few digraphs only.
fn swapped(text: &str) -> String {
    let mut begins = true;
    text.chars()
        .map(|c| {
            let swapped = match c {
                c if c.is_uppercase() || is_titlecase(c) => characters::lower(c),
                c if c.is_lowercase() && begins => characters::title(c),
                c if c.is_lowercase() => characters::upper(c),
                c => {
                    begins = c.is_whitespace();
                    return c;
                }
            };
            begins = false;
            swapped
        })
        .collect()
}

fn is_titlecase(c: char) -> bool {
    matches!(c, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}' | '\u{1f88}'..='\u{1f8f}' | '\u{1f98}'..='\u{1f9f}'
        | '\u{1fa8}'..='\u{1faf}' | '\u{1fbc}' | '\u{1fcc}' | '\u{1ffc}')
}

/// Sprig goes through bytes here, and takes each for a character.
fn initials(text: &str) -> String {
    let mut begins = true;
    let mut out = String::new();
    for c in text.bytes().map(char::from) {
        if c.is_whitespace() {
            begins = true;
        } else if std::mem::take(&mut begins) {
            out.push(c);
        }
    }
    out
}

fn mapped(text: &str, each: fn(char) -> char) -> TemplateValue {
    text.chars().map(each).collect::<String>().into()
}

fn joined(args: &[TemplateValue], each: impl Fn(&TemplateValue) -> String) -> TemplateValue {
    args.iter().filter(|value| **value != TemplateValue::Nil).map(each).collect::<Vec<_>>().join(" ").into()
}

fn within(bytes: usize) -> Result<(), String> {
    if bytes > MAX_WEIGHT { Err("makes more than 1 MiB of text".to_owned()) } else { Ok(()) }
}

fn repeat(count: i64, text: &str) -> Result<String, String> {
    let count = usize::try_from(count).map_err(|_| format!("{count} times is not possible"))?;
    within(count.saturating_mul(text.len()))?;
    Ok(text.repeat(count))
}

fn indent(spaces: i64, text: &str) -> Result<String, String> {
    let pad = repeat(spaces, " ")?;
    within(pad.len().saturating_mul(text.matches('\n').count() + 1))?;
    Ok(format!("{pad}{}", text.replace('\n', &format!("\n{pad}"))))
}

fn cut(text: &str, from: i64, to: i64) -> FunctionAnswer {
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    let part = range.and_then(|(from, to)| text.get(from..to));
    part.map(Into::into).ok_or_else(|| format!("bytes {from} to {to} are no part of {:?}", shortened(text)))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

fn substr(args: &[TemplateValue]) -> FunctionAnswer {
    let (start, end, text) = (int(args, 0)?, int(args, 1)?, text(args, 2)?);
    match (start, end) {
        (start, end) if start < 0 => cut(text, 0, end),
        (start, end) if end < 0 || end > length(text) => cut(text, start, length(text)),
        (start, end) => cut(text, start, end),
    }
}

fn trunc(args: &[TemplateValue]) -> FunctionAnswer {
    let (count, text) = (int(args, 0)?, text(args, 1)?);
    let all = length(text);
    match count {
        count if count < 0 && all + count > 0 => cut(text, all + count, all),
        count if count >= 0 && all > count => cut(text, 0, count),
        _ => Ok(text.into()),
    }
}

fn abbrev(args: &[TemplateValue]) -> FunctionAnswer {
    let (width, text) = (int(args, 0)?, text(args, 1)?);
    if width < 4 || length(text) <= width {
        return Ok(text.into());
    }
    Ok(format!("{}...", show(&cut(text, 0, width - 3)?)).into())
}

/// Go's strings.SplitN: an empty separator splits into characters; 0 gives nothing, a negative count all.
fn parts<'t>(separator: &str, text: &'t str, count: i64) -> Vec<&'t str> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    match most {
        0 => Vec::new(),
        most if separator.is_empty() => {
            let mut starts: Vec<usize> = text.char_indices().map(|(at, _)| at).take(most).collect();
            starts.push(text.len());
            starts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
        }
        most => text.splitn(most, separator).collect(),
    }
}

fn numbered(parts: Vec<&str>) -> TemplateValue {
    let entries = parts.iter().enumerate().map(|(at, part)| (DictKey::from(format!("_{at}").as_str()), (*part).into()));
    TemplateValue::Dict(TemplateDict::of_texts(entries.collect()))
}

fn b64dec(args: &[TemplateValue]) -> FunctionAnswer {
    let bytes = STANDARD.decode(text(args, 0)?).map_err(|error| format!("this is not base64: {error}"))?;
    String::from_utf8(bytes).map(Into::into).map_err(|_| "what was decoded is not UTF-8".to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
