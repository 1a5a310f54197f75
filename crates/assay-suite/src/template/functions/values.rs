//! Any value: defaults, JSON, kinds (Sprig: defaults.go, reflect.go).

use super::{
    super::{
        dict::copied,
        json::{self, JsonStyle},
        value::{TemplateValue, from_json, kind, type_of},
    },
    FunctionAnswer, MANY, TemplateFunction,
    arguments::{empty, text},
    function,
};

pub(super) const FUNCTIONS: &[TemplateFunction] = &[
    function("default", 1, MANY, |a| Ok(a.get(1).filter(|given| !empty(given)).unwrap_or(&a[0]).clone())),
    function("empty", 1, 1, |a| Ok(TemplateValue::Bool(empty(&a[0])))),
    function("coalesce", 0, MANY, |a| Ok(a.iter().find(|value| !empty(value)).cloned().unwrap_or(TemplateValue::Nil))),
    function("all", 0, MANY, |a| Ok(TemplateValue::Bool(!a.iter().any(empty)))),
    function("any", 0, MANY, |a| Ok(TemplateValue::Bool(!a.iter().all(empty)))),
    function("ternary", 3, 3, ternary),
    function("fail", 1, 1, |a| Err(text(a, 0)?.to_owned())),
    function("toJson", 1, 1, |a| Ok(json::text(&a[0], HTML)?.into())),
    function("mustToJson", 1, 1, |a| Ok(json::text(&a[0], HTML)?.into())),
    function("toRawJson", 1, 1, |a| Ok(json::text(&a[0], JsonStyle { pretty: false, html: false })?.into())),
    function("mustToRawJson", 1, 1, |a| Ok(json::text(&a[0], JsonStyle { pretty: false, html: false })?.into())),
    function("toPrettyJson", 1, 1, |a| Ok(json::text(&a[0], JsonStyle { pretty: true, html: true })?.into())),
    function("mustToPrettyJson", 1, 1, |a| Ok(json::text(&a[0], JsonStyle { pretty: true, html: true })?.into())),
    function("fromJson", 1, 1, |a| {
        Ok(serde_json::from_str(text(a, 0)?).map_or(TemplateValue::Nil, |it| from_json(&it)))
    }),
    function("mustFromJson", 1, 1, |a| {
        serde_json::from_str(text(a, 0)?).map(|it| from_json(&it)).map_err(|error| format!("this is not JSON: {error}"))
    }),
    function("typeOf", 1, 1, |a| Ok(type_of(&a[0]).into())),
    function("typeIs", 2, 2, |a| Ok(TemplateValue::Bool(text(a, 0)? == type_of(&a[1])))),
    function("typeIsLike", 2, 2, |a| Ok(TemplateValue::Bool(matches_type(text(a, 0)?, &a[1])))),
    function("kindOf", 1, 1, |a| Ok(kind(&a[0]).into())),
    function("kindIs", 2, 2, |a| Ok(TemplateValue::Bool(text(a, 0)? == kind(&a[1])))),
    function("deepEqual", 2, 2, |a| Ok(TemplateValue::Bool(a[0] == a[1]))),
    function("deepCopy", 1, 1, deep_copy),
    function("mustDeepCopy", 1, 1, deep_copy),
];

/// Sprig escapes for HTML where the name does not say "raw".
const HTML: JsonStyle = JsonStyle { pretty: false, html: true };

fn deep_copy(args: &[TemplateValue]) -> FunctionAnswer {
    match &args[0] {
        TemplateValue::Nil => Err("there is nothing to copy: it is null".to_owned()),
        value => Ok(copied(value)),
    }
}

fn ternary(args: &[TemplateValue]) -> FunctionAnswer {
    match &args[2] {
        TemplateValue::Bool(yes) => Ok(args[usize::from(!yes)].clone()),
        other => Err(format!("argument 3 must be true or false, not {}", type_of(other))),
    }
}

/// Whether `wanted` is the value's type, or a pointer's to it.
fn matches_type(wanted: &str, value: &TemplateValue) -> bool {
    wanted == type_of(value) || format!("*{wanted}") == type_of(value)
}
