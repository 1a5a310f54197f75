//! gjson's paths on JSON texts, beside what is wanted there.

use serde_json::{Value, json};

use super::random::Random;

const TEXTS: [&str; 9] = [
    r#"{"name":{"first":"Tom","last":"Anderson"},"age":37,"children":["Sara","Alex","Jack"],"fav.movie":"Deer Hunter","friends":[{"first":"Dale","age":44,"nets":["ig","fb"]},{"first":"Roger","age":68,"nets":["fb"]},{"first":"Jane","age":47,"nets":[]}]}"#,
    r#"{"u":[{"n":"a","pw":null},{"n":"b","pw":"x"},{"n":"c","on":true},{"n":"d","on":false,"k":0}]}"#,
    r#"[{"a":1,"b":2.5},{"a":2},{"a":"3","b":null},[1,[2,3]],"x"]"#,
    r#"{"a":1,"b":true,"c":null,"d":"5","e":[],"f":{},"g":{"h":[1,2,3]}}"#,
    r#"{"x":1}"#,
    "[1,2,3]",
    r#""text""#,
    "5",
    "{broken",
];
const PARTS: [&str; 34] = [
    "name",
    "first",
    "age",
    "children",
    "friends",
    "#",
    "0",
    "1",
    "2",
    "u",
    "n",
    "a",
    "b",
    "g",
    "h",
    "e",
    "f",
    "c",
    "*",
    "fav\\.movie",
    "na*",
    "?",
    "@this",
    "@reverse",
    "@flatten",
    "@valid",
    "@ugly",
    "#.first",
    "#.n",
    "#(age>45)",
    "#(age>45)#",
    "#(n==\"b\")",
    "#(on==~true)#",
    "#(first%\"D*\")#",
];
/// What stands at the top of each of these texts.
const FIRSTS: [&[&str]; 9] = [
    &["name", "age", "children", "friends", "fav\\.movie", "na*", "@this"],
    &["u", "@this"],
    &["#", "0", "1", "3", "#(a>1)#", "@reverse"],
    &["a", "b", "c", "d", "e", "f", "g", "?"],
    &["x"],
    &["#", "0", "2", "@this"],
    &["@this"],
    &["@this"],
    &["@this"],
];
const WHOLE: [&str; 14] = [
    "friends.#(first==\"Dale\").age",
    "friends.#(age>=47)#.first",
    "friends.#(nets.#(==\"fb\"))#.first",
    "friends.#(first!%\"D*\")#.first",
    "{name.first,age}",
    "[name.last,age]",
    "friends.#.{first,age}",
    "friends.#.nets.#",
    "children|@reverse|0",
    "u.#(on==~false)#.n",
    "g.h.#(>1)#",
    "#(a>1).b",
    "u.#(pw!=\"x\")#.n",
    "..#",
];

/// One check: a JSON text, a path, and a demand.
pub(super) fn case(random: &mut Random) -> String {
    let text = random.below(TEXTS.len());
    let first = random.of(FIRSTS[text]);
    let path = if random.one_in(3) { random.of(&WHOLE).to_owned() } else { path(random, first) };
    json!({ "content": TEXTS[text], "matches": { "gjson": { (path): demand(random) } } }).to_string()
}

fn path(random: &mut Random, first: &str) -> String {
    let mut path = if random.one_in(4) { random.of(&PARTS) } else { first }.to_owned();
    for _ in 0..random.below(3) {
        path.push_str(random.of(&[".", ".", ".", "|"]));
        path.push_str(random.of(&PARTS));
    }
    path
}

fn demand(random: &mut Random) -> Value {
    match random.below(14) {
        // Met by all that is there: whether the path finds anything.
        9.. => json!({ "not": "nothing like this" }),
        0 => json!({ "have-len": random.below(4) }),
        1 => json!({ "gt": random.below(50) }),
        2 => json!({ "not": { "equal": null } }),
        3 => json!({ "contain-element": random.of(&["fb", "a", "Roger", "Jack"]) }),
        4 => random.of(&["Tom", "Sara", "5", "", "<nil>", "[]", "map[]", "true"]).into(),
        5 => random.below(50).into(),
        6 => random.one_in(2).into(),
        7 => json!({ "consist-of": ["Roger", "Jane"] }),
        _ => json!({ "match-regexp": random.of(&[".", "a", "^\\d+$", "^$"]) }),
    }
}
