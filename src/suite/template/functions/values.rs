//! Any value: defaults, JSON, kinds (Sprig: defaults.go, reflect.go).

use gotmpl::Value;

use super::{
    super::value::{from_json, kind, to_json, type_of},
    Answer, Function, MANY,
    arguments::{empty, text},
    function,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("default", 1, MANY, |a| Ok(a.get(1).filter(|given| !empty(given)).unwrap_or(&a[0]).clone())),
    function("empty", 1, 1, |a| Ok(Value::Bool(empty(&a[0])))),
    function("coalesce", 0, MANY, |a| Ok(a.iter().find(|value| !empty(value)).cloned().unwrap_or(Value::Nil))),
    function("all", 0, MANY, |a| Ok(Value::Bool(!a.iter().any(empty)))),
    function("any", 0, MANY, |a| Ok(Value::Bool(!a.iter().all(empty)))),
    function("ternary", 3, 3, ternary),
    function("fail", 1, 1, |a| Err(text(a, 0)?.to_owned())),
    function("toJson", 1, 1, |a| Ok(html_safe(&to_json(&a[0]).to_string()).into())),
    function("mustToJson", 1, 1, |a| Ok(html_safe(&to_json(&a[0]).to_string()).into())),
    function("toRawJson", 1, 1, |a| Ok(to_json(&a[0]).to_string().into())),
    function("mustToRawJson", 1, 1, |a| Ok(to_json(&a[0]).to_string().into())),
    function("toPrettyJson", 1, 1, |a| Ok(html_safe(&format!("{:#}", to_json(&a[0]))).into())),
    function("mustToPrettyJson", 1, 1, |a| Ok(html_safe(&format!("{:#}", to_json(&a[0]))).into())),
    function("fromJson", 1, 1, |a| Ok(serde_json::from_str(text(a, 0)?).map_or(Value::Nil, |it| from_json(&it)))),
    function("mustFromJson", 1, 1, |a| {
        serde_json::from_str(text(a, 0)?).map(|it| from_json(&it)).map_err(|error| format!("this is not JSON: {error}"))
    }),
    function("typeOf", 1, 1, |a| Ok(type_of(&a[0]).into())),
    function("typeIs", 2, 2, |a| Ok(Value::Bool(text(a, 0)? == type_of(&a[1])))),
    function("typeIsLike", 2, 2, |a| Ok(Value::Bool(text(a, 0)?.trim_start_matches('*') == type_of(&a[1])))),
    function("kindOf", 1, 1, |a| Ok(kind(&a[0]).into())),
    function("kindIs", 2, 2, |a| Ok(Value::Bool(text(a, 0)? == kind(&a[1])))),
    function("deepEqual", 2, 2, |a| Ok(Value::Bool(a[0] == a[1]))),
    function("deepCopy", 1, 1, |a| Ok(a[0].clone())),
    function("mustDeepCopy", 1, 1, |a| Ok(a[0].clone())),
];

fn ternary(args: &[Value]) -> Answer {
    match &args[2] {
        Value::Bool(yes) => Ok(args[usize::from(!yes)].clone()),
        other => Err(format!("argument 3 must be true or false, not {}", type_of(other))),
    }
}

/// Go's encoding/json writes these characters so that JSON can stand in HTML. They occur only inside of texts.
fn html_safe(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
