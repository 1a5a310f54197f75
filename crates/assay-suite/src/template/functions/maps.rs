//! Dicts (Sprig: dict.go; `merge`: mergo, on which it stands). `set`, `unset` and `merge` change the dict that they are
//! given, under whatever name it is known. Go's maps have no order; here keys are sorted.

use std::collections::BTreeMap;

use super::{
    super::{
        dict::{DictKey, TemplateDict},
        value::{TemplateValue, show},
    },
    FunctionAnswer, MANY, TemplateFunction,
    arguments::{empty, map, text},
    function,
};

pub(super) const FUNCTIONS: &[TemplateFunction] = &[
    function("dict", 0, MANY, dict),
    function("get", 2, 2, |a| Ok(map(a, 0)?.get(text(a, 1)?).unwrap_or("".into()))),
    function("set", 3, 3, |a| {
        map(a, 0)?.insert(DictKey::from(text(a, 1)?), a[2].clone())?;
        Ok(a[0].clone())
    }),
    function("unset", 2, 2, |a| {
        map(a, 0)?.remove(text(a, 1)?);
        Ok(a[0].clone())
    }),
    function("hasKey", 2, 2, |a| Ok(TemplateValue::Bool(map(a, 0)?.get(text(a, 1)?).is_some()))),
    function("pluck", 1, MANY, pluck),
    function("keys", 0, MANY, keys),
    function("values", 1, 1, |a| Ok(TemplateValue::list(map(a, 0)?.entries().into_iter().map(|(_, value)| value)))),
    function("pick", 1, MANY, |a| filtered(a, true)),
    function("omit", 1, MANY, |a| filtered(a, false)),
    function("merge", 1, MANY, |a| merged(a, false)),
    function("mustMerge", 1, MANY, |a| merged(a, false)),
    function("mergeOverwrite", 1, MANY, |a| merged(a, true)),
    function("mustMergeOverwrite", 1, MANY, |a| merged(a, true)),
    function("dig", 3, MANY, dig),
];

fn new(entries: BTreeMap<DictKey, TemplateValue>) -> TemplateValue {
    TemplateValue::Dict(TemplateDict::of_anything(entries))
}

fn dict(args: &[TemplateValue]) -> FunctionAnswer {
    let pairs = args.chunks(2).map(|pair| {
        let value = pair.get(1).cloned().unwrap_or_else(|| "".into());
        (DictKey::from(show(&pair[0]).as_str()), value)
    });
    Ok(new(pairs.collect()))
}

fn pluck(args: &[TemplateValue]) -> FunctionAnswer {
    let key = text(args, 0)?;
    let mut found = Vec::new();
    for at in 1..args.len() {
        found.extend(map(args, at)?.get(key));
    }
    Ok(TemplateValue::list(found))
}

fn keys(args: &[TemplateValue]) -> FunctionAnswer {
    let mut all = Vec::new();
    for at in 0..args.len() {
        all.extend(map(args, at)?.entries().into_iter().map(|(key, _)| show(&key.value())));
    }
    Ok(TemplateValue::texts(all))
}

fn filtered(args: &[TemplateValue], wanted: bool) -> FunctionAnswer {
    let names = (1..args.len()).map(|at| text(args, at).map(DictKey::from)).collect::<Result<Vec<_>, _>>()?;
    let entries = map(args, 0)?.entries().into_iter().filter(|(key, _)| names.contains(key) == wanted);
    Ok(new(entries.collect()))
}

fn merged(args: &[TemplateValue], overwrite: bool) -> FunctionAnswer {
    let target = map(args, 0)?;
    for at in 1..args.len() {
        merge(target, map(args, at)?, overwrite)?;
    }
    Ok(args[0].clone())
}

/// mergo's rules for dicts: those that stand at one key are merged within each other. Of anything else the later value
/// is taken where overwriting is asked for, false, 0 and nil too; otherwise only where there is nothing, or what is empty.
fn merge(target: &TemplateDict, from: &TemplateDict, overwrite: bool) -> Result<(), String> {
    if target.is(from) {
        return Ok(());
    }
    for (key, value) in from.entries() {
        let DictKey::Text(name) = &key else { return Err("merges dicts whose keys are texts".to_owned()) };
        match (target.get(name), &value) {
            (_, TemplateValue::Nil) if !overwrite => {}
            (Some(TemplateValue::Dict(inner)), TemplateValue::Dict(other)) => {
                merge(&inner, other, overwrite)?;
                if inner.len() == 0 {
                    target.insert(key, value)?;
                }
            }
            (Some(there), _) if !overwrite && !empty(&there) => {}
            _ => target.insert(key, value)?,
        }
    }
    Ok(())
}

fn dig(args: &[TemplateValue]) -> FunctionAnswer {
    let (last, default) = (args.len() - 1, &args[args.len() - 2]);
    let mut here = map(args, last)?.clone();
    for at in 0..last - 1 {
        let key = text(args, at)?;
        match here.get(key) {
            None => return Ok(default.clone()),
            Some(found) if at + 2 == last => return Ok(found),
            Some(TemplateValue::Dict(inner)) if inner.is_of_anything() => here = inner,
            Some(_) => return Err(format!("{key:?} is no dict")),
        }
    }
    Ok(default.clone())
}
