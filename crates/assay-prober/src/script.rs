//! Checks into one POSIX sh script. It owns the order of things; how each kind asks is in `questions`, what they share in
//! prelude.sh.
//!
//! The whole script is one brace group: the host's shell reads all of it before it runs any of it, so a connection
//! that is cut half way runs nothing, and no check can read the rest of the script from its standard input. A check's
//! command runs with its own standard input, output and error.

use std::{fmt::Write as _, time::Duration};

use super::questions::{self, CLOUD_INIT, FACTS, INVENTORY, KERNELS, LISTENING};
use assay_suite::{Check, ResourceKind, SudoChoice};

/// The functions that ask, run by dash, bash and busybox alike.
const PRELUDE: &str = include_str!("prelude.sh");
/// A script that reached its end exits so; a status that never came reads as 0 in libssh2, and is so told from the end.
pub(super) const DONE: i32 = 91;

/// One question: the check and its number in the script's answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScriptQuestion<'a> {
    /// The number that the answer carries.
    pub index: u32,
    /// What is asked.
    pub check: &'a Check,
    /// Whether sudo may be used for it.
    pub sudo: SudoChoice,
}

/// The script that asks `questions` in order. `nonce` is letters and digits.
pub(super) fn checks(nonce: &str, questions: &[ScriptQuestion<'_>]) -> String {
    let mut body = String::new();
    for (at, question) in questions.iter().enumerate() {
        look_ahead(&mut body, &questions[..at], &questions[at..]);
        ask(&mut body, question);
    }
    write(&mut body, format_args!("i=end s= a='.n {}'\nanswer\n", questions.len()));
    wrap(nonce, &functions(questions), &body)
}

/// The script that waits for cloud-init and then answers once, as number 0.
pub(super) fn cloud_init(nonce: &str) -> String {
    wrap(nonce, &[CLOUD_INIT], "i=0 A=never T=10\nwait_cloud_init\ni=end s= a='.n 1'\nanswer\n")
}

/// The script that asks the host about itself: number 0 is facts.sh's answer, number 1 cloud_init.sh's.
pub(super) fn facts(nonce: &str) -> String {
    let body = "i=0 A=auto T=10\nask_facts\ni=1\nask_cloud_init\ni=end s= a='.n 2'\nanswer\n";
    wrap(nonce, &[CLOUD_INIT, FACTS], body)
}

/// The script that asks what is in the image: see `inventory` for what each number is.
pub(super) fn inventory(nonce: &str) -> String {
    let asked = ["system", "packages", "units", "boot", "set_id"].map(|part| format!("ask_inventory_{part}"));
    let mut body = "A=auto T=20\n".to_owned();
    let all = asked.iter().map(String::as_str).chain(["ask_listening"]);
    for (index, ask) in all.enumerate() {
        write(&mut body, format_args!("i={index}\n{ask}\n"));
    }
    write(&mut body, format_args!("i=end s= a='.n {}'\nanswer\n", asked.len() + 1));
    wrap(nonce, &[INVENTORY, KERNELS, LISTENING], &body)
}

/// The longest that the script can be silent while it runs `questions`.
pub(super) fn longest_silence(questions: &[ScriptQuestion<'_>]) -> Duration {
    let longest = questions.iter().map(|q| seconds(q.check.timeout)).max().unwrap_or(0);
    // Stdout and stderr are waited for up to 4 s longer than the command, and a command that does not end gets 1 s
    // more until it is killed. A file can be read several times, for its contents and for each digest.
    Duration::from_secs(longest * 5 + 15)
}

fn wrap(nonce: &str, functions: &[&str], body: &str) -> String {
    let functions = functions.join("\n");
    format!("{{\nN={nonce}\n{PRELUDE}\n{functions}\n{body}exit {DONE}\n}}\n")
}

fn ask(body: &mut String, question: &ScriptQuestion<'_>) {
    let check = question.check;
    let Some(kind) = questions::of(check.resource) else { return };
    let sudo = if question.sudo == SudoChoice::Auto { "auto" } else { "never" };
    let timeout = seconds(check.timeout);
    write(body, format_args!("i={} A={sudo} T={timeout}\n{}\n", question.index, (kind.ask)(check)));
}

/// How many things of a kind are looked up at once.
const AHEAD: usize = 20;

/// Where `left` begins with a file or a package, and as many of its kind as fit were asked before it (`done`): has the
/// next ones looked up with one process. Never beyond a question that may change the host, and only plain names.
fn look_ahead(body: &mut String, done: &[ScriptQuestion<'_>], left: &[ScriptQuestion<'_>]) {
    let Some(first) = left.first() else { return };
    let function = match first.check.resource {
        ResourceKind::File => "files_ahead",
        ResourceKind::Package => "packages_ahead",
        _ => return,
    };
    let is_quick = |q: &&ScriptQuestion<'_>| questions::of(q.check.resource).is_some_and(|kind| !kind.slow);
    let is_alike = |q: &&ScriptQuestion<'_>| q.check.resource == first.check.resource;
    let before = done.iter().rev().take_while(is_quick).filter(is_alike).count();
    if !before.is_multiple_of(AHEAD) {
        return;
    }
    let next = left.iter().take_while(is_quick).filter(is_alike).take(AHEAD);
    let names: Vec<String> = next.map(|q| q.check.subject()).filter(|s| is_plain(s)).map(questions::quote).collect();
    if names.len() > 1 {
        write(body, format_args!("T=10\n{function} {}\n", names.join(" ")));
    }
}

/// Whether a path or a package's name has nothing in it that a tool or a shell could take for anything else.
fn is_plain(name: &str) -> bool {
    name.len() < 200
        && !name.starts_with('-')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+'))
}

/// The functions that `questions` need, each once.
fn functions(questions: &[ScriptQuestion<'_>]) -> Vec<&'static str> {
    let mut needed = Vec::new();
    let kinds = questions.iter().filter_map(|q| questions::of(q.check.resource));
    for shell in kinds.flat_map(|kind| kind.shell) {
        if !needed.contains(shell) {
            needed.push(*shell);
        }
    }
    needed
}

/// Whole seconds, rounded up: not every `timeout` takes fractions.
fn seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).max(1) as u64
}

fn write(body: &mut String, line: std::fmt::Arguments<'_>) {
    body.write_fmt(line).expect("writing to a String cannot fail");
}

#[cfg(test)]
#[path = "script_inventory_tests.rs"]
mod inventory_tests;
#[cfg(test)]
#[path = "script_kinds_tests.rs"]
mod kinds_tests;
#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "script_userlands_tests.rs"]
mod userlands_tests;
