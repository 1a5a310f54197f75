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

pub(super) use maps::IN_PLACE;

use gotmpl::Value;

/// What a function gives back: a value, or what is wrong in one sentence fragment.
pub(super) type Answer = Result<Value, String>;

/// Any number of arguments.
const MANY: usize = usize::MAX;

/// One function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    /// Its name in templates.
    pub name: &'static str,
    /// The fewest arguments.
    pub least: usize,
    /// The most arguments.
    pub most: usize,
    /// What it does; gets as many arguments as it may have.
    pub body: fn(&[Value]) -> Answer,
}

const fn function(name: &'static str, least: usize, most: usize, body: fn(&[Value]) -> Answer) -> Function {
    Function { name, least, most, body }
}

/// Every function that needs nothing but its arguments.
pub(super) fn all() -> impl Iterator<Item = &'static Function> {
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

/// The engine's functions that look at files and environment.
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
