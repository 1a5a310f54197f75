//! The functions that a template may call: Sprig's in common use and goss's own, as tables of name, number of
//! arguments and body. It owns which exist; it refuses what looks outside (files and environment are the engine's),
//! what differs from run to run (dates, random numbers) and cryptography.
//!
//! Names and behaviour: Sprig v3.3.0 (functions.go and the files it names) and goss v0.4.9 (template.go).

mod arguments;
mod lists;
mod maps;
mod numbers;
mod paths;
mod regexes;
mod strings;
mod values;
mod versions;

use super::value::TemplateValue;

/// What a function gives back: a value, or what is wrong in one sentence fragment.
pub(super) type FunctionAnswer = Result<TemplateValue, String>;

/// Any number of arguments.
const MANY: usize = usize::MAX;

/// One function.
#[derive(Debug, Clone, Copy)]
pub(super) struct TemplateFunction {
    /// Its name in templates.
    pub name: &'static str,
    /// The fewest arguments.
    pub least: usize,
    /// The most arguments.
    pub most: usize,
    /// What it does; gets as many arguments as it may have.
    pub body: fn(&[TemplateValue]) -> FunctionAnswer,
}

impl TemplateFunction {
    /// Calls it with these arguments.
    pub(super) fn call(&self, args: &[TemplateValue]) -> FunctionAnswer {
        let Self { name, least, most, body } = *self;
        if !(least..=most).contains(&args.len()) {
            let wanted = match (least, most) {
                (least, most) if least == most => least.to_string(),
                (least, usize::MAX) => format!("at least {least}"),
                (least, most) => format!("{least} to {most}"),
            };
            return Err(format!("{name} takes {wanted} arguments, not {}", args.len()));
        }
        body(args).map_err(|why| format!("{name}: {why}"))
    }
}

const fn function(
    name: &'static str,
    least: usize,
    most: usize,
    body: fn(&[TemplateValue]) -> FunctionAnswer,
) -> TemplateFunction {
    TemplateFunction { name, least, most, body }
}

/// Every function that needs nothing but its arguments.
pub(super) fn all() -> impl Iterator<Item = &'static TemplateFunction> {
    [
        strings::FUNCTIONS,
        numbers::FUNCTIONS,
        values::FUNCTIONS,
        lists::FUNCTIONS,
        maps::FUNCTIONS,
        regexes::FUNCTIONS,
        versions::FUNCTIONS,
        paths::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// Whether Go's function wants an `int` as its argument number `at`: there `3.0` and `1e1` are whole numbers.
pub(super) fn wants_int(name: &str, at: usize) -> bool {
    match name {
        "seq" | "untilStep" => true,
        "until" | "trunc" | "indent" | "nindent" | "repeat" | "abbrev" => at == 0,
        "substr" => at < 2,
        "splitn" | "round" => at == 1,
        "plural" | "regexFindAll" | "mustRegexFindAll" | "regexSplit" | "mustRegexSplit" => at == 2,
        _ => false,
    }
}

/// The functions that look at files and environment.
pub(super) const OUTSIDE: &[&str] = &["readFile", "getEnv", "env", "expandenv"];

/// text/template's own.
pub(super) const BUILT_IN: &[&str] = &[
    "and", "or", "not", "len", "index", "print", "printf", "println", "html", "js", "urlquery", "eq", "ne", "lt", "le",
    "gt", "ge", "call",
];

/// Sprig's that are left out on purpose, for a message that says so.
pub(super) const LEFT_OUT: &[&str] = &[
    "ago",
    "date",
    "date_in_zone",
    "date_modify",
    "dateInZone",
    "dateModify",
    "duration",
    "durationRound",
    "htmlDate",
    "htmlDateInZone",
    "must_date_modify",
    "mustDateModify",
    "mustToDate",
    "now",
    "toDate",
    "unixEpoch",
    "randAlphaNum",
    "randAlpha",
    "randAscii",
    "randNumeric",
    "randBytes",
    "randInt",
    "shuffle",
    "uuidv4",
    "getHostByName",
    "bcrypt",
    "htpasswd",
    "genPrivateKey",
    "derivePassword",
    "buildCustomCert",
    "genCA",
    "genCAWithKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "encryptAES",
    "decryptAES",
    "sha1sum",
    "adler32sum",
    "snakecase",
    "camelcase",
    "kebabcase",
    "wrap",
    "wrapWith",
    "abbrevboth",
    "b32enc",
    "b32dec",
    "urlParse",
    "urlJoin",
    "mustChunk",
    "chunk",
];
