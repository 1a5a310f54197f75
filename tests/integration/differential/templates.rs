//! Templates: expressions of text/template and Sprig nested at random, and statements around them. `$v` is a copy of
//! the variables.

use super::random::Random;

/// The variables of every case.
pub(super) const VARS: &str = r#"{"t": "Hello World", "empty": "", "n": 5, "zero": 0, "f": 2.5, "neg": -3, "yes": true, "no": false, "nil": null,
 "list": ["b", "a", "c"], "ints": [3, 1, 2], "none": [], "dict": {"a": 1, "b": {"c": "x"}}, "users": [{"name": "ann", "uid": 1}, {"name": "bob", "uid": 2}],
 "version": "22.04", "ports": {80: web, 443: tls}, "json": "{\"k\": [1, 2]}"}"#;

const TEXTS: [&str; 13] = [
    "$v.t",
    "$v.empty",
    "\"abc\"",
    "\"a,b,c\"",
    "\"a b  c\"",
    "`r\\aw`",
    "\"é ß\"",
    "\"10\"",
    "\"0x1F\"",
    "\"1.2.3\"",
    "$v.version",
    "\"/etc/./ssh/../x.conf\"",
    "$v.json",
];
const INTS: [&str; 10] = ["0", "1", "2", "3", "-1", "10", "$v.n", "$v.zero", "$v.neg", "0x10"];
const ANY: [&str; 12] = [
    "$v.f", "$v.yes", "$v.no", "$v.nil", "$v.list", "$v.ints", "$v.none", "$v.dict", "1.5", "nil", "$v.ports",
    "$v.users",
];
const LISTS: [&str; 8] = [
    "$v.list",
    "$v.ints",
    "$v.none",
    "(list 1 \"a\" nil)",
    "(until 3)",
    "(splitList \",\" \"a,b,a\")",
    "(list)",
    "$v.users",
];
const DICTS: [&str; 6] = [
    "$v.dict",
    "(dict)",
    "(dict \"a\" 2 \"z\" false)",
    "$v.dict.b",
    "(dict \"b\" (dict \"c\" \"\" \"d\" nil))",
    "(index $v.users 0)",
];
const PATTERNS: [&str; 12] = [
    "\"a\"",
    "\"[a-c]+\"",
    "\"b*\"",
    "\"\"",
    "\"(a)(?P<n>b)?\"",
    "`^\\w+$`",
    "`\\s+`",
    "\"o\"",
    "`\\d`",
    "\",\"",
    "`\\bW`",
    "\"(\"",
];
const VERSIONS: [&str; 12] = [
    "\"1.2.3\"",
    "\"v1.2\"",
    "\"2.0.0-rc1\"",
    "\"1.2.3-a.1\"",
    "\"22.04\"",
    "\"1.02.3\"",
    "\"0.2.3\"",
    "\"0.0.3\"",
    "\"1\"",
    "\"1.2.3+meta\"",
    "\"x\"",
    "\"1.2.3.4\"",
];
const CONSTRAINTS: [&str; 24] = [
    "\">=1.2.0\"",
    "\"<2\"",
    "\"^1.2\"",
    "\"~1.2.3\"",
    "\"1.x\"",
    "\"*\"",
    "\"!=1.2.3\"",
    "\">=2.0.0-rc1\"",
    "\">=20.04\"",
    "\"1.0 - 2.0\"",
    "\">=1, <2 || ^0.2\"",
    "\"=1.2.3\"",
    "\"==1.2.3\"",
    "\"\"",
    "\"^0.2.3\"",
    "\"^0\"",
    "\"~0\"",
    "\">1.2\"",
    "\"<=1.2\"",
    "\"!=1.x\"",
    "\"^*\"",
    "\">=0-0\"",
    "\"~> 1\"",
    "\">*\"",
];
const FORMATS: [&str; 20] = [
    "%v", "%s", "%d", "%q", "%5d", "%-5s|", "%05d", "%x", "%X", "%t", "%T", "%#v", "%+d", "%.2f", "%8.3f", "%e", "%g",
    "%c", "%U", "%%",
];

/// One template.
pub(super) fn case(random: &mut Random) -> String {
    match random.below(12) {
        0 => format!("{{{{ if {} }}}}yes{{{{ else }}}}no{{{{ end }}}}", any(random, 2)),
        1 => format!(
            "{{{{ range $i, $e := {} }}}}{{{{ $i }}}}={{{{ $e }}}};{{{{ else }}}}none{{{{ end }}}}",
            list(random, 2)
        ),
        2 => format!("{{{{ range {} }}}}<{{{{ . }}}}>{{{{ end }}}}", any(random, 1)),
        3 => format!("{{{{ with {} }}}}[{{{{ . }}}}]{{{{ else }}}}-{{{{ end }}}}", any(random, 2)),
        4 => format!("{{{{ $x := {} }}}}{{{{ $x = {} }}}}{{{{ $x }}}}", any(random, 1), any(random, 1)),
        5 => changed(random),
        6 => broken(random),
        7 => format!("a {{{{- {} -}}}} b", any(random, 1)),
        _ => format!("{{{{ {} }}}}", any(random, 3)),
    }
}

/// A dict that is changed under another name.
fn changed(random: &mut Random) -> String {
    let (first, second) = (dict(random), dict(random));
    let change = match random.below(5) {
        0 => format!("set $d \"k\" {}", any(random, 1)),
        1 => "unset $d \"a\"".to_owned(),
        2 => format!("merge $d {second}"),
        3 => format!("mergeOverwrite $d {second}"),
        _ => format!("mergeOverwrite $d (dict \"a\" {})", any(random, 1)),
    };
    format!("{{{{ $d := {first} }}}}{{{{ $e := $d }}}}{{{{ $_ := {change} }}}}{{{{ $e }}}}{{{{ $v.dict }}}}")
}

/// Syntax that may be wrong.
fn broken(random: &mut Random) -> String {
    let pieces = [
        "{{ end }}",
        "{{ else }}",
        "{{ if true }}",
        "{{ range $v.list }}",
        "x",
        "{{ with 1 }}",
        "{{ else if false }}",
        "{{ break }}",
        "{{ continue }}",
        "{{/* c */}}",
        "{{ . }}",
        "{{ $v.n }}",
        "{{ $w }}",
        "{{ $w := 1 }}",
        "{{ else with 2 }}",
        "{{- \"t\" -}}",
        "{{ (1) }}",
        "{{ 1 | print }}",
        "{{ | }}",
        "{{ nosuch }}",
    ];
    let mut text: String = (0..1 + random.below(5)).map(|_| random.of(&pieces)).collect();
    // What is left open is closed, so that a case stays within its line; half of the time one time too often.
    let open = ["{{ if", "{{ range", "{{ with 1"].iter().map(|piece| text.matches(piece).count()).sum::<usize>();
    let closed = text.matches("{{ end").count();
    for _ in closed..open {
        text.push_str("{{ end }}");
    }
    text
}

fn int(random: &mut Random) -> String {
    if random.one_in(8) { format!("(int {})", any(random, 0)) } else { random.of(&INTS).to_owned() }
}

fn text(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.one_in(2) {
        return random.of(&TEXTS).to_owned();
    }
    let depth = depth - 1;
    let name = random.of(&[
        "upper", "lower", "title", "trim", "nospace", "untitle", "swapcase", "initials", "b64enc", "base", "dir",
        "clean", "ext",
    ]);
    match random.below(8) {
        0 => format!("(trunc {} {})", int(random), text(random, depth)),
        1 => format!("(replace {} {} {})", text(random, 0), text(random, 0), text(random, depth)),
        2 => format!("(join \"-\" {})", list(random, depth)),
        3 => format!("(regexReplaceAll {} {} \"<$1${{n}}>\")", random.of(&PATTERNS), text(random, depth)),
        4 => format!("(printf \"{}\" {})", random.of(&FORMATS), any(random, depth)),
        5 => format!("(quote {})", any(random, depth)),
        _ => format!("({name} {})", text(random, depth)),
    }
}

fn list(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.one_in(2) {
        return random.of(&LISTS).to_owned();
    }
    let depth = depth - 1;
    match random.below(8) {
        0 => format!("(append {} {})", list(random, depth), any(random, 0)),
        1 => format!("(reverse {})", list(random, depth)),
        2 => format!("(uniq {})", list(random, depth)),
        3 => format!("(without {} {})", list(random, depth), any(random, 0)),
        4 => format!(
            "(regexSplit {} {} {})",
            random.of(&PATTERNS),
            text(random, depth),
            random.of(&["-1", "2", "1", "0"])
        ),
        5 => format!("(regexFindAll {} {} -1)", random.of(&PATTERNS), text(random, depth)),
        6 => format!("(slice {} {} {})", list(random, depth), int(random), int(random)),
        _ => format!("(concat {} {})", list(random, depth), list(random, 0)),
    }
}

fn dict(random: &mut Random) -> String {
    random.of(&DICTS).to_owned()
}

fn any(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return match random.below(4) {
            0 => random.of(&TEXTS).to_owned(),
            1 => random.of(&INTS).to_owned(),
            2 => random.of(&LISTS).to_owned(),
            _ => random.of(&ANY).to_owned(),
        };
    }
    let inner = depth - 1;
    let two = random.of(&[
        "add",
        "sub",
        "mul",
        "div",
        "mod",
        "max",
        "min",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "deepEqual",
        "and",
        "or",
        "default",
        "coalesce",
    ]);
    let one = random.of(&[
        "not",
        "len",
        "int",
        "int64",
        "float64",
        "toString",
        "toJson",
        "toPrettyJson",
        "typeOf",
        "kindOf",
        "empty",
        "floor",
        "ceil",
        "print",
        "println",
        "html",
        "js",
        "urlquery",
        "first",
        "last",
        "rest",
        "initial",
        "sortAlpha",
        "toStrings",
        "deepCopy",
        "squote",
        "cat",
        "compact",
        "add1",
        "seq",
        "fromJson",
        "toDecimal",
    ]);
    match random.below(20) {
        0 | 1 => text(random, inner),
        2 => list(random, inner),
        3 => dict(random),
        4 => format!("(get {} \"a\")", dict(random)),
        5 => format!("(index {} {})", list(random, inner), int(random)),
        6 => format!("(has {} {})", any(random, 0), list(random, inner)),
        7 => {
            format!("(ternary {} {} {})", any(random, 0), any(random, 0), random.of(&["true", "false", "$v.yes", "1"]))
        }
        8 => format!("(semverCompare {} {})", random.of(&CONSTRAINTS), random.of(&VERSIONS)),
        9 => format!("(regexMatch {} {})", random.of(&PATTERNS), text(random, inner)),
        10 => format!(
            "(printf \"{}|{}\" {} {})",
            random.of(&FORMATS),
            random.of(&FORMATS),
            any(random, inner),
            any(random, 0)
        ),
        11 => format!("(dig \"b\" \"c\" {} {})", any(random, 0), dict(random)),
        12 => format!("(findStringSubmatch {} {})", random.of(&PATTERNS), text(random, inner)),
        13 => format!("(pick {} \"a\" \"z\")", dict(random)),
        14 => format!("({} | {one})", any(random, inner)),
        15 => format!(
            "{}.{}",
            random.of(&["$v.nil", "$v.dict", "(dict \"x\" nil)", "$v.t", "$v.ports"]),
            random.of(&["x", "a", "b.c"])
        ),
        16 | 17 => format!("({two} {} {})", any(random, inner), any(random, inner)),
        _ => format!("({one} {})", any(random, inner)),
    }
}
