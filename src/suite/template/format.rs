//! text/template's own functions that make text: `print`, `println`, `printf`, `html`, `js`, `urlquery`. It owns a look
//! at how much they will make before they make it, and Go's way of printing floating numbers, which the crate has not.

use gotmpl::{Template, TemplateError, Value};

use super::{
    engine::too_heavy,
    value::{MAX_WEIGHT, show, weigh},
};

/// Calls the function `name`.
pub(super) fn formatted(name: &str, args: &[Value]) -> Result<Value, TemplateError> {
    let mut longest = 0;
    let mut all = 0;
    for arg in args {
        let weight = weigh(arg).ok_or_else(too_heavy)?;
        longest = longest.max(weight);
        all += weight;
    }
    match (name, args.split_first()) {
        ("print", _) if all <= MAX_WEIGHT => Ok(print(args).into()),
        ("println", _) if all <= MAX_WEIGHT => Ok((args.iter().map(show).collect::<Vec<_>>().join(" ") + "\n").into()),
        ("printf", Some((Value::String(format), rest))) => {
            if made(format, rest, longest).saturating_add(all) > 4 * MAX_WEIGHT {
                return Err(too_heavy());
            }
            let printed: Vec<Value> = [&args[0]].into_iter().chain(rest).cloned().collect();
            by_crate(name, &with_floats_shown(format, printed))
        }
        _ if all > MAX_WEIGHT => Err(too_heavy()),
        _ => by_crate(name, args),
    }
}

/// fmt.Sprint: a blank between two values of which neither is a text.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    let mut after_text = true;
    for arg in args {
        let text = matches!(arg, Value::String(_));
        if !text && !after_text {
            out.push(' ');
        }
        out.push_str(&show(arg));
        after_text = text;
    }
    out
}

/// The most bytes that `printf` can make of its arguments.
fn made(format: &str, args: &[Value], longest: usize) -> usize {
    let widest = usize::from(u16::MAX);
    let written = format.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<usize>().ok());
    let given = args.iter().filter_map(Value::as_int).filter_map(|width| usize::try_from(width).ok()).max();
    let stars = format.matches('*').count().saturating_mul(given.unwrap_or(0).min(widest));
    let verbs = format.matches('%').count().saturating_mul(longest);
    written.fold(verbs.saturating_add(stars), |sum, width| sum.saturating_add(width.min(widest)))
}

/// The arguments, those that a plain `%v` prints and that hold floating numbers as Go's text of them.
fn with_floats_shown(format: &str, mut args: Vec<Value>) -> Vec<Value> {
    if format.contains(['*', '[']) {
        return args;
    }
    let mut at = 0;
    let mut rest = format.chars();
    while rest.by_ref().any(|c| c == '%') {
        let mut flags = rest.by_ref().skip_while(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | ' '));
        match flags.next() {
            Some('%') => {}
            verb => {
                at += 1;
                if let (Some('v'), Some(arg)) = (verb, args.get_mut(at)) {
                    let shown = show(arg);
                    *arg = if holds_float(arg) { shown.into() } else { arg.clone() };
                }
            }
        }
    }
    args
}

fn holds_float(value: &Value) -> bool {
    match value {
        Value::Float(_) => true,
        Value::List(items) => items.iter().any(holds_float),
        Value::Map(entries) => entries.values().any(holds_float),
        _ => false,
    }
}

/// The crate keeps these functions to itself, so a template calls it.
fn by_crate(name: &str, args: &[Value]) -> Result<Value, TemplateError> {
    let places: Vec<String> = (0..args.len()).map(|at| format!("(index . {at})")).collect();
    let source = format!("{{{{{name} {}}}}}", places.join(" "));
    Template::new("").parse(&source)?.execute_to_string(&Value::List(args.into())).map(Into::into)
}
