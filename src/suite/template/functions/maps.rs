//! Dicts (Sprig: dict.go). Go's maps have no order and change in place; here keys are sorted, and `set`, `unset` and
//! `merge` give a new dict back, which the engine puts into the variable that was named.

use std::{collections::BTreeMap, sync::Arc};

use gotmpl::Value;

use super::{
    super::value::{map as dict_of, show},
    Answer, Function, MANY,
    arguments::{empty, map, text, text_list},
    function,
};

type Dict = BTreeMap<Arc<str>, Value>;

/// Those that change their first argument in place in Go.
pub(in crate::suite::template) const IN_PLACE: &[&str] =
    &["set", "unset", "merge", "mustMerge", "mergeOverwrite", "mustMergeOverwrite"];

pub(super) const FUNCTIONS: &[Function] = &[
    function("dict", 0, MANY, dict),
    function("get", 2, 2, |a| Ok(map(a, 0)?.get(text(a, 1)?).cloned().unwrap_or("".into()))),
    function("set", 3, 3, |a| {
        let mut entries = map(a, 0)?.clone();
        entries.insert(text(a, 1)?.into(), a[2].clone());
        Ok(dict_of(entries))
    }),
    function("unset", 2, 2, |a| {
        let mut entries = map(a, 0)?.clone();
        entries.remove(text(a, 1)?);
        Ok(dict_of(entries))
    }),
    function("hasKey", 2, 2, |a| Ok(Value::Bool(map(a, 0)?.contains_key(text(a, 1)?)))),
    function("pluck", 1, MANY, pluck),
    function("keys", 0, MANY, keys),
    function("values", 1, 1, |a| Ok(Value::List(map(a, 0)?.values().cloned().collect()))),
    function("pick", 1, MANY, |a| filtered(a, true)),
    function("omit", 1, MANY, |a| filtered(a, false)),
    function("merge", 1, MANY, |a| merged(a, false)),
    function("mustMerge", 1, MANY, |a| merged(a, false)),
    function("mergeOverwrite", 1, MANY, |a| merged(a, true)),
    function("mustMergeOverwrite", 1, MANY, |a| merged(a, true)),
    function("dig", 3, MANY, dig),
];

fn dict(args: &[Value]) -> Answer {
    let pairs = args.chunks(2).map(|pair| {
        let value = pair.get(1).cloned().unwrap_or_else(|| "".into());
        (Arc::from(show(&pair[0])), value)
    });
    Ok(dict_of(pairs.collect()))
}

fn pluck(args: &[Value]) -> Answer {
    let key = text(args, 0)?;
    let mut found = Vec::new();
    for at in 1..args.len() {
        found.extend(map(args, at)?.get(key).cloned());
    }
    Ok(Value::List(found.into()))
}

fn keys(args: &[Value]) -> Answer {
    let mut all: Vec<Arc<str>> = Vec::new();
    for at in 0..args.len() {
        all.extend(map(args, at)?.keys().cloned());
    }
    Ok(text_list(all))
}

fn filtered(args: &[Value], wanted: bool) -> Answer {
    let names = (1..args.len()).map(|at| text(args, at)).collect::<Result<Vec<_>, _>>()?;
    let entries = map(args, 0)?.iter().filter(|(key, _)| names.contains(&&***key) == wanted);
    Ok(dict_of(entries.map(|(key, value)| (key.clone(), value.clone())).collect()))
}

fn merged(args: &[Value], overwrite: bool) -> Answer {
    let mut target = map(args, 0)?.clone();
    for at in 1..args.len() {
        merge(&mut target, map(args, at)?, overwrite);
    }
    Ok(dict_of(target))
}

/// mergo's rule: dicts are merged within each other; an empty value never replaces one that is not, and one that is not
/// replaces an empty one.
fn merge(target: &mut Dict, from: &Dict, overwrite: bool) {
    for (key, value) in from {
        match (target.get_mut(key), value) {
            (Some(Value::Map(inner)), Value::Map(other)) => merge(Arc::make_mut(inner), other, overwrite),
            (Some(there), _) if (overwrite && !empty(value)) || empty(there) => *there = value.clone(),
            (Some(_), _) => {}
            (None, _) => drop(target.insert(key.clone(), value.clone())),
        }
    }
}

fn dig(args: &[Value]) -> Answer {
    let (last, default) = (args.len() - 1, &args[args.len() - 2]);
    let mut here = map(args, last)?;
    for at in 0..last - 1 {
        let key = text(args, at)?;
        match here.get(key) {
            None => return Ok(default.clone()),
            Some(found) if at + 2 == last => return Ok(found.clone()),
            Some(Value::Map(inner)) => here = inner,
            Some(_) => return Err(format!("{key:?} is no dict")),
        }
    }
    Ok(default.clone())
}
