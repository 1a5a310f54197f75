//! What an image must not carry into its instances: keys, identities, histories, credentials, open doors. It owns the
//! question, which section of the host's answer each property is read from, what the suite allows, and the rule that
//! what was not looked through to its end is not clean. The findings themselves are in the files below.

mod allow;
mod answer;
mod files;
mod identity;
mod keys;
mod logs;
mod secrets;
mod stock;
mod users;

use serde_json::Value;

pub(crate) use self::keys::public_half;
use self::{
    allow::allowed,
    answer::{HygieneAnswer, HygieneSection},
};
use super::{QuestionKind, SeenProperty, quote};
use crate::frames::AnswerFrame;
use assay_suite::{Check, ResourceKind, Suite};

/// See the file. The program runs in a shell of its own, as root; it is one brace group, for it takes that shell's
/// standard input away.
pub(super) const KIND: QuestionKind = QuestionKind {
    shell: &[
        concat!(
            "hygiene_program() {\ncat <<'HYGIENE'\n{\n",
            super::sshd::settings!(),
            include_str!("hygiene/program.sh"),
            "}\nHYGIENE\n}"
        ),
        include_str!("hygiene.sh"),
    ],
    ask,
    observe,
    slow: true,
};

/// What the prober adds to a check's parameters: the public half of the key that it logs in with, `type base64`.
const LAUNCH_KEY: &str = "launch-key";
/// The longest finding, in characters.
const FINDING_KEPT: usize = 300;

/// Something that an image should not carry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HygieneFinding {
    /// For people; names the user, the path, the line, and never a secret.
    text: String,
    /// What `allow` may name it by: a path, a user, a key's fingerprint or comment.
    names: Vec<String>,
    /// Whether the host cannot tell: it is no finding then, and no pass either.
    is_open: bool,
}

impl HygieneFinding {
    fn new(names: &[&str], text: String) -> Self {
        Self { text, names: names.iter().map(|n| (*n).to_owned()).collect(), is_open: false }
    }

    fn open(names: &[&str], text: String) -> Self {
        Self { is_open: true, ..Self::new(names, text) }
    }
}

/// What findings are made from.
struct HygieneFacts<'a> {
    answer: &'a HygieneAnswer<'a>,
    /// `type base64`, where it is known.
    launch_key: Option<&'a str>,
}

struct HygieneProperty {
    name: &'static str,
    section: &'static str,
    /// The kinds of that section's lines that it is read from, as the host counts them.
    kinds: &'static [&'static str],
    /// Whether it takes the time of the first boot to tell.
    dated: bool,
    find: fn(&HygieneFacts<'_>) -> Vec<HygieneFinding>,
}

const fn property(
    name: &'static str,
    section: &'static str,
    kinds: &'static [&'static str],
    find: fn(&HygieneFacts<'_>) -> Vec<HygieneFinding>,
) -> HygieneProperty {
    HygieneProperty { name, section, kinds, dated: false, find }
}

const fn dated(property: HygieneProperty) -> HygieneProperty {
    HygieneProperty { dated: true, ..property }
}

const PROPERTIES: &[HygieneProperty] = &[
    property("authorized-keys", "keys", &["keys"], keys::authorized),
    dated(property("host-keys", "hostkeys", &["file", "log"], keys::host)),
    dated(property("machine-id", "machine", &["machine"], identity::machine_id)),
    dated(property("cloud-init", "cloud", &["instance", "once"], identity::cloud_init)),
    dated(property("random-seed", "seed", &["seed"], identity::random_seed)),
    property("histories", "hist", &["hist"], secrets::histories),
    property("known-hosts", "known", &["known"], secrets::known_hosts),
    property("private-keys", "private", &["private"], secrets::private_keys),
    property("cloud-credentials", "creds", &["creds"], secrets::credentials),
    property("git-directories", "files", &["git_directories"], files::git_directories),
    property("empty-passwords", "shadow", &["empty"], users::empty_passwords),
    property("password-logins", "shadow", &["hash"], users::password_logins),
    property("uid0", "shadow", &["uid0"], users::uid0),
    property("sudoers", "sudo", &["rule"], users::sudoers),
    property("suid", "files", &["suid"], files::suid),
    property("suid-files", "files", &["suid_files"], files::suid_files),
    property("world-writable", "files", &["world_writable"], files::world_writable),
    property("unowned", "files", &["unowned"], files::unowned),
    property("core-dumps", "cores", &["cores"], files::core_dumps),
    dated(property("tmp-residue", "tmp", &["tmp"], files::tmp_residue)),
    dated(property("logs", "logs", &["journal", "file", "size"], logs::logs)),
];

/// Tells every hygiene check the public half of the key that the prober logs in with: it is there because of the test.
/// Where it is not known, keys that are found cannot be told apart from it.
pub(crate) fn introduce(suites: &mut [Suite], public: Option<&str>) {
    let Some(public) = public else { return };
    let checks = suites.iter_mut().flat_map(|suite| &mut suite.checks);
    for check in checks.filter(|check| check.resource == ResourceKind::Hygiene) {
        check.parameters.insert(LAUNCH_KEY.to_owned(), Value::from(public));
    }
}

fn known(name: &str) -> Option<&'static HygieneProperty> {
    PROPERTIES.iter().find(|p| p.name == name)
}

fn ask(check: &Check) -> String {
    let mut sections: Vec<&str> = Vec::new();
    for property in check.properties.iter().filter_map(|p| known(&p.name)) {
        if !sections.contains(&property.section) {
            sections.push(property.section);
        }
    }
    let allow = quote(&allow::for_the_host(check).join("\n"));
    format!("ask_hygiene {allow} {}", sections.join(" "))
}

fn observe(check: &Check, name: &str, frame: &AnswerFrame) -> SeenProperty {
    let Some(property) = known(name) else { return SeenProperty::unknown("no such property") };
    if frame.word('x') != Some("1") {
        let why = "what an image carries is root's to see, and this user is not root and sudo -n does not work (or the suite says sudo = false)";
        return SeenProperty::unknown(why);
    }
    let text = frame.text('o').unwrap_or_default();
    let answer = HygieneAnswer::read(&text);
    if property.dated && answer.first_boot <= 0 {
        return SeenProperty::unknown("the host does not tell when it booted");
    }
    let launch_key = check.parameters.get(LAUNCH_KEY).and_then(Value::as_str);
    let mut found = (property.find)(&HygieneFacts { answer: &answer, launch_key });
    found.retain(|finding| !allowed(check, name, finding));
    let (open, found): (Vec<HygieneFinding>, Vec<HygieneFinding>) =
        found.into_iter().partition(|finding| finding.is_open);
    let mut found = texts(found);
    let section = answer.section(property.section);
    let more = section.more(property.kinds);
    if found.is_empty() {
        return match undecided(check, name, &section, more, &texts(open)) {
            Some(why) => SeenProperty::unknown(why),
            None => SeenProperty::Value(found.into()),
        };
    }
    if more > 0 {
        found.push(format!("… and {more} more of its kind that were not looked at"));
    }
    if name == "authorized-keys" && launch_key.is_none() {
        let why = "which of these is the key of this login is not known, for its public half cannot be read from the key's file: ";
        return SeenProperty::unknown(format!("{why}{}", found.join("; ")));
    }
    SeenProperty::Value(found.into())
}

/// What is told of findings: bounded, sorted, each once.
fn texts(found: Vec<HygieneFinding>) -> Vec<String> {
    let mut texts: Vec<String> = found.into_iter().map(|f| f.text.chars().take(FINDING_KEPT).collect()).collect();
    texts.sort();
    texts.dedup();
    texts
}

/// Why nothing found does not mean that there is nothing.
fn undecided(check: &Check, name: &str, section: &HygieneSection<'_>, more: u64, open: &[String]) -> Option<String> {
    if more > 0 {
        return Some(format!(
            "the host found {more} more for {name} than it tells, and what it tells is allowed: allow their folders too (\"/folder/*\")"
        ));
    }
    if let Some(why) = section.lacking.filter(|why| !why.is_empty()) {
        let why: String = why.chars().take(FINDING_KEPT).collect();
        return Some(format!("the host could not look through everything: {why}"));
    }
    if !section.whole || section.lacking.is_some() {
        let seconds = check.timeout.as_secs();
        return Some(format!("the host did not look through everything within {seconds} s; set timeout"));
    }
    (!open.is_empty()).then(|| open.join("; "))
}

#[cfg(test)]
#[path = "hygiene/tests.rs"]
mod tests;
