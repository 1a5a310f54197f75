//! Values of every kind beside matchers that are nested at random.

use serde_json::{Value, json};

use super::random::Random;

/// (Of `inf` goss's own report loses the result.)
const TEXTS: [&str; 15] = [
    "",
    "a",
    "abc",
    "5",
    " 5\n",
    "0x10",
    "1.5",
    "1e3",
    "true",
    "a\n5\nmoo\n",
    "1.2.3",
    "2.0.0-rc1",
    "é",
    "map[a:1]",
    "[a b]",
];
const NUMBERS: [f64; 8] = [0.0, 1.0, 5.0, 15.0, -1.0, 1.5, 1000.0, 1e21];
const RANGES: [&str; 10] =
    [">=1.0.0", "<2.0.0", "1.2.3", "1.2.x", "!=1.2.3", ">1.0.0 <2.0.0", "<1.0.0 || >=2.0.0", "1", ">=2.0.0-rc0", "^1"];

/// One check: a value and a demand.
pub(super) fn case(random: &mut Random) -> String {
    let mut demand = demand(random, 3);
    if random.one_in(3) {
        demand = json!({ "not": without_or(demand) });
    }
    let mut check = json!({ "content": value(random, 3), "matches": demand });
    if random.one_in(6) {
        check["as-reader"] = true.into();
    }
    check.to_string()
}

fn number(random: &mut Random) -> Value {
    let number = random.of(&NUMBERS);
    if number.fract() == 0.0 && number.abs() < 1e15 && !random.one_in(3) {
        return (number as i64).into();
    }
    number.into()
}

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => random.one_in(2).into(),
        2 => number(random),
        3 | 4 => random.of(&TEXTS).into(),
        5 | 6 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => {
            let keys = ["a", "b", "5", "moo"];
            let entries = (0..random.below(4)).map(|at| (keys[at].to_owned(), value(random, depth - 1)));
            Value::Object(entries.collect())
        }
    }
}

fn demands(random: &mut Random, depth: usize) -> Value {
    (0..1 + random.below(3)).map(|_| demand(random, depth)).collect()
}

/// A demand that assay and goss both read; what goss crashes at is left out (`not` of an `or`, the pattern `/`).
fn demand(random: &mut Random, depth: usize) -> Value {
    let text = random.of(&TEXTS);
    if depth == 0 {
        return if random.one_in(3) { number(random) } else { text.into() };
    }
    match random.below(24) {
        0..=2 => text.into(),
        3 => number(random),
        4 => random.one_in(2).into(),
        5 => json!({ "equal": value(random, 1) }),
        6 => json!({ "have-prefix": text }),
        7 => json!({ "have-suffix": text }),
        8 => json!({ "contain-substring": text }),
        9 => json!({ "match-regexp": random.of(&["^a", "5$", "(?m)^5$", "o+", "\\d", "^$", "[[:alpha:]]"]) }),
        10 => json!({ "have-len": random.below(4) }),
        // (Numbers among words goss looks at in random order.)
        11 if random.one_in(2) => json!({ "have-key": text }),
        11 => json!({ "have-key": { (random.of(&["have-prefix", "contain-substring"])): text } }),
        12 => json!({ "contain-element": demand(random, depth - 1) }),
        13 => json!({ "contain-elements": demands(random, depth - 1) }),
        14 => json!({ "consist-of": demands(random, depth - 1) }),
        15 => json!({ (random.of(&["gt", "ge", "lt", "le"])): number(random) }),
        16 => json!({ "semver-constraint": random.of(&RANGES) }),
        17 => json!({ "have-patterns": [random.of(&["a", "!a", "/^5/", "!/moo/", "\\!a", ""])] }),
        18 => json!({ "not": without_or(demand(random, depth - 1)) }),
        19 => json!({ "and": demands(random, depth - 1) }),
        20 => json!({ "or": demands(random, depth - 1) }),
        21 => json!({ "gjson": { (random.of(&["a", "b.0", "@this", "a.#"])): demand(random, depth - 1) } }),
        _ => demands(random, depth - 1),
    }
}

fn without_or(demand: Value) -> Value {
    if demand.to_string().contains("\"or\"") { json!({ "have-len": 1 }) } else { demand }
}
