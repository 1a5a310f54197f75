//! Lists (Sprig: list.go; `mkSlice`: goss).

use super::{
    super::value::{ListElements, TemplateList, TemplateValue, show},
    FunctionAnswer, MANY, TemplateFunction,
    arguments::{empty, list, texts, whole},
    function,
};

pub(super) const FUNCTIONS: &[TemplateFunction] = &[
    function("list", 0, MANY, |a| Ok(TemplateValue::list(a.to_vec()))),
    function("tuple", 0, MANY, |a| Ok(TemplateValue::list(a.to_vec()))),
    function("mkSlice", 0, MANY, |a| Ok(TemplateValue::list(a.to_vec()))),
    function("first", 1, 1, |a| Ok(list(a, 0)?.first().cloned().unwrap_or(TemplateValue::Nil))),
    function("mustFirst", 1, 1, |a| Ok(list(a, 0)?.first().cloned().unwrap_or(TemplateValue::Nil))),
    function("last", 1, 1, |a| Ok(list(a, 0)?.last().cloned().unwrap_or(TemplateValue::Nil))),
    function("mustLast", 1, 1, |a| Ok(list(a, 0)?.last().cloned().unwrap_or(TemplateValue::Nil))),
    function("rest", 1, 1, rest),
    function("mustRest", 1, 1, rest),
    function("initial", 1, 1, initial),
    function("mustInitial", 1, 1, initial),
    function("append", 2, 2, append),
    function("mustAppend", 2, 2, append),
    function("push", 2, 2, append),
    function("mustPush", 2, 2, append),
    function("prepend", 2, 2, prepend),
    function("mustPrepend", 2, 2, prepend),
    function("concat", 0, MANY, concat),
    function("reverse", 1, 1, |a| Ok(TemplateValue::list(list(a, 0)?.iter().rev().cloned()))),
    function("mustReverse", 1, 1, |a| Ok(TemplateValue::list(list(a, 0)?.iter().rev().cloned()))),
    function("uniq", 1, 1, uniq),
    function("mustUniq", 1, 1, uniq),
    function("without", 1, MANY, |a| kept(a, |item| !a[1..].contains(item))),
    function("mustWithout", 1, MANY, |a| kept(a, |item| !a[1..].contains(item))),
    function("compact", 1, 1, |a| kept(a, |item| !empty(item))),
    function("mustCompact", 1, 1, |a| kept(a, |item| !empty(item))),
    function("has", 2, 2, has),
    function("mustHas", 2, 2, has),
    function("slice", 1, MANY, slice),
    function("mustSlice", 1, MANY, slice),
    function("sortAlpha", 1, 1, sort_alpha),
];

/// The most items that are compared with each other.
const MOST_COMPARED: usize = 2000;

fn rest(args: &[TemplateValue]) -> FunctionAnswer {
    Ok(TemplateValue::list(list(args, 0)?.iter().skip(1).cloned()))
}

fn initial(args: &[TemplateValue]) -> FunctionAnswer {
    let items = list(args, 0)?;
    Ok(TemplateValue::list(items.iter().take(items.len().saturating_sub(1)).cloned()))
}

fn append(args: &[TemplateValue]) -> FunctionAnswer {
    Ok(TemplateValue::list(list(args, 0)?.iter().chain([&args[1]]).cloned()))
}

fn prepend(args: &[TemplateValue]) -> FunctionAnswer {
    Ok(TemplateValue::list([&args[1]].into_iter().chain(list(args, 0)?).cloned()))
}

fn concat(args: &[TemplateValue]) -> FunctionAnswer {
    let lists = (0..args.len()).map(|at| list(args, at)).collect::<Result<Vec<_>, _>>()?;
    Ok(TemplateValue::list(lists.concat()))
}

fn kept(args: &[TemplateValue], keep: impl Fn(&TemplateValue) -> bool) -> FunctionAnswer {
    Ok(TemplateValue::list(list(args, 0)?.iter().filter(|item| keep(item)).cloned()))
}

fn uniq(args: &[TemplateValue]) -> FunctionAnswer {
    let items = list(args, 0)?;
    if items.len() > MOST_COMPARED {
        return Err(format!("the list has {} elements; at most {MOST_COMPARED} are compared", items.len()));
    }
    let mut seen: Vec<TemplateValue> = Vec::new();
    for item in items {
        if !seen.contains(item) {
            seen.push(item.clone());
        }
    }
    Ok(TemplateValue::list(seen))
}

fn has(args: &[TemplateValue]) -> FunctionAnswer {
    match &args[1] {
        TemplateValue::Nil => Ok(TemplateValue::Bool(false)),
        _ => Ok(TemplateValue::Bool(list(args, 1)?.contains(&args[0]))),
    }
}

fn slice(args: &[TemplateValue]) -> FunctionAnswer {
    let items = list(args, 0)?;
    if items.is_empty() {
        return Ok(TemplateValue::Nil);
    }
    let all = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let (start, end) = (args.get(1).map_or(0, whole), args.get(2).map_or(all, whole));
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match range.and_then(|(start, end)| items.get(start..end)) {
        Some(part) => Ok(TemplateValue::List(TemplateList { items: part.into(), of: elements(&args[0]) })),
        None => Err(format!("elements {start} to {end} are no part of a list of {all}")),
    }
}

/// What is no list is one of one element.
fn sort_alpha(args: &[TemplateValue]) -> FunctionAnswer {
    let TemplateValue::List(_) = &args[0] else { return Ok(TemplateValue::texts([show(&args[0])])) };
    let mut all = texts(&args[0]);
    all.sort();
    Ok(TemplateValue::texts(all))
}

/// What the list's type says of its elements.
fn elements(value: &TemplateValue) -> ListElements {
    match value {
        TemplateValue::List(list) => list.of,
        _ => ListElements::Any,
    }
}
