//! text/template's own functions that make text: `print`, `println`, `printf`, `html`, `js`, `urlquery`. It owns a look
//! at how much they will make before they make it.

use super::{
    characters::is_printed,
    functions::FunctionAnswer,
    printf::printf,
    value::{MAX_WEIGHT, TemplateValue, show, weigh},
};

/// Calls the function `name`.
pub(super) fn formatted(name: &str, args: &[TemplateValue]) -> FunctionAnswer {
    let mut all = 0;
    for arg in args {
        all += weigh(arg).ok_or("takes a value of more than 1 MiB")?;
    }
    if all > MAX_WEIGHT {
        return Err(format!("{name}: takes values of more than 1 MiB"));
    }
    let escaped = |each: fn(char, &mut String)| {
        let text = escapable(args);
        let mut out = String::with_capacity(text.len());
        text.chars().for_each(|c| each(c, &mut out));
        Ok(out.into())
    };
    match (name, args) {
        ("print", _) => Ok(print(args).into()),
        ("println", _) => Ok((args.iter().map(show).collect::<Vec<_>>().join(" ") + "\n").into()),
        ("printf", [TemplateValue::Text(format), rest @ ..]) => {
            printf(format, rest).map(Into::into).map_err(|why| format!("printf: {why}"))
        }
        ("printf", _) => Err("printf takes a text and the values that are printed into it".to_owned()),
        ("html", _) => escaped(html),
        ("js", _) => escaped(js),
        _ => escaped(url),
    }
}

/// fmt.Sprint: a blank between two values of which neither is a text.
fn print(args: &[TemplateValue]) -> String {
    let mut out = String::new();
    let mut after_text = true;
    for arg in args {
        let text = matches!(arg, TemplateValue::Text(_));
        if !text && !after_text {
            out.push(' ');
        }
        out.push_str(&show(arg));
        after_text = text;
    }
    out
}

/// What is escaped: printed, but nothing is written as a template writes it.
fn escapable(args: &[TemplateValue]) -> String {
    let args: Vec<TemplateValue> =
        args.iter().map(|arg| if *arg == TemplateValue::Nil { "<no value>".into() } else { arg.clone() }).collect();
    print(&args)
}

fn html(c: char, out: &mut String) {
    match c {
        '\0' => out.push('\u{fffd}'),
        '"' => out.push_str("&#34;"),
        '\'' => out.push_str("&#39;"),
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

fn js(c: char, out: &mut String) {
    match c {
        '\\' | '\'' | '"' => out.extend(['\\', c]),
        '<' | '>' | '&' | '=' | '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        c if c.is_ascii() || is_printed(c) => out.push(c),
        c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
    }
}

fn url(c: char, out: &mut String) {
    match c {
        ' ' => out.push('+'),
        c if c.is_ascii_alphanumeric() || "-_.~".contains(c) => out.push(c),
        c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}"))),
    }
}
