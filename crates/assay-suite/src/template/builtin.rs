//! text/template's own functions (Go: text/template, funcs.go), and those that look at files and environment.

use std::{path::Path, sync::PoisonError};

use super::{
    TemplateWorld, compare, format,
    functions::FunctionAnswer,
    value::{TemplateValue, type_of},
};

/// Calls the function `name`, which is one of these.
pub(super) fn call(name: &str, args: &[TemplateValue], world: &TemplateWorld) -> FunctionAnswer {
    match name {
        "not" | "len" => match args {
            [value] if name == "not" => Ok(TemplateValue::Bool(!value.is_true())),
            [value] => length(value),
            _ => Err(format!("{name} takes 1 arguments, not {}", args.len())),
        },
        "index" => index(args, world),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare::compare(name, args),
        "print" | "println" | "printf" | "html" | "js" | "urlquery" => format::formatted(name, args),
        "call" => Err("call: there are no functions that could be called by it".to_owned()),
        _ => outside(name, args, world).map_err(|why| format!("{name}: {why}")),
    }
}

fn length(value: &TemplateValue) -> FunctionAnswer {
    let length = match value {
        TemplateValue::Text(text) => text.len(),
        TemplateValue::List(list) => list.items.len(),
        TemplateValue::Dict(dict) => dict.len(),
        other => return Err(format!("len: {} has no length", type_of(other))),
    };
    Ok(TemplateValue::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// `index x 1 "a"` is what Go writes as `x[1]["a"]`.
fn index(args: &[TemplateValue], world: &TemplateWorld) -> FunctionAnswer {
    let (first, keys) = args.split_first().ok_or("index takes at least 1 arguments, not 0")?;
    if *first == TemplateValue::Nil {
        return Err("index: there is nothing to look into: it is null".to_owned());
    }
    let mut found = first.clone();
    for key in keys {
        found = match &found {
            TemplateValue::Dict(dict) => {
                if let (true, TemplateValue::Text(name)) = (world.env.is_it(&found), key) {
                    world.env.get(name)?;
                }
                dict.index(key).map_err(|why| format!("index: {why}"))?
            }
            TemplateValue::List(list) => {
                list.items.get(position(key, list.items.len())?).cloned().unwrap_or(TemplateValue::Nil)
            }
            TemplateValue::Text(text) => text
                .as_bytes()
                .get(position(key, text.len())?)
                .map_or(TemplateValue::Nil, |byte| TemplateValue::Uint(u64::from(*byte))),
            TemplateValue::Nil => return Err("index: there is nothing to look into: it is null".to_owned()),
            other => return Err(format!("index: {} has no elements", type_of(other))),
        };
    }
    Ok(found)
}

fn position(key: &TemplateValue, length: usize) -> Result<usize, String> {
    let at = match key {
        TemplateValue::Int(at) | TemplateValue::Int64(at) => usize::try_from(*at).ok(),
        TemplateValue::Uint(at) => usize::try_from(*at).ok(),
        other => return Err(format!("index: the place in a list is a whole number, not {}", type_of(other))),
    };
    at.filter(|at| *at < length)
        .ok_or_else(|| format!("index: there is no element {} in a list of {length}", super::value::show(key)))
}

fn outside(name: &str, args: &[TemplateValue], world: &TemplateWorld) -> FunctionAnswer {
    let texts: Option<Vec<&str>> = args.iter().map(TemplateValue::as_text).collect();
    match (name, texts.as_deref()) {
        ("readFile", Some([path])) => read_file(path, world),
        ("expandenv", Some([text])) => world.env.expand(text).map(Into::into),
        ("env", Some([variable])) => world.env.get(variable),
        ("getEnv", Some([variable, default @ ..])) => match (world.env.get(variable)?, default.first()) {
            (value, Some(default)) if value.as_text() == Some("") => Ok((*default).into()),
            (value, _) => Ok(value),
        },
        _ => Err("takes texts: one, or for getEnv a default too".to_owned()),
    }
}

/// goss cuts white space at both ends.
fn read_file(path: &str, world: &TemplateWorld) -> FunctionAnswer {
    let text =
        world.reach.read_tracked(&world.base_dir.join(Path::new(path))).map_err(|why| format!("{path:?}: {why}"))?;
    let value = text.trim().into();
    world.read.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), text));
    Ok(value)
}
