//! Checks into one POSIX sh script. It owns the questions and their quoting; the functions that ask are in prelude.sh.
//!
//! The whole script is one brace group: the host's shell reads all of it before it runs any of it, so a connection
//! that is cut half way runs nothing, and no check can read the rest of the script from its standard input. A check's
//! command runs with its own standard input, output and error.

use std::{fmt::Write as _, time::Duration};

use crate::suite::{Check, Resource, Sudo};

/// The functions that ask, run by dash, bash and busybox alike.
const PRELUDE: &str = include_str!("prelude.sh");
/// A script that reached its end exits so; a status that never came reads as 0 in libssh2, and is so told from the end.
pub(super) const DONE: i32 = 91;
/// How much of a command's stdout and of its stderr is kept.
pub(super) const OUTPUT_KEPT: usize = 64 << 10;
/// How much of a file's contents is kept.
pub(super) const CONTENTS_KEPT: usize = 256 << 10;

/// One question: the check and its number in the script's answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// The number that the answer carries.
    pub index: u32,
    /// What is asked.
    pub check: &'a Check,
    /// Whether sudo may be used for it.
    pub sudo: Sudo,
}

/// The script that asks `questions` in order. `nonce` is letters and digits.
pub(super) fn checks(nonce: &str, questions: &[Question<'_>]) -> String {
    let mut body = String::new();
    for question in questions {
        ask(&mut body, question);
    }
    write(&mut body, format_args!("i=end s= a='.n {}'\nanswer\n", questions.len()));
    wrap(nonce, &body)
}

/// The script that waits for cloud-init and then answers once, as number 0.
pub(super) fn cloud_init(nonce: &str) -> String {
    wrap(nonce, "i=0 A=never T=10\nwait_cloud_init\ni=end s= a='.n 1'\nanswer\n")
}

/// The longest that the script can be silent while it runs `questions`.
pub(super) fn longest_silence(questions: &[Question<'_>]) -> Duration {
    let longest = questions.iter().map(|q| seconds(q.check.timeout)).max().unwrap_or(0);
    // Stdout and stderr are waited for up to 4 s longer than the command, and a command that does not end gets 1 s
    // more until it is killed. A file can be read several times, for its contents and for each digest.
    Duration::from_secs(longest * 5 + 15)
}

fn wrap(nonce: &str, body: &str) -> String {
    format!("{{\nN={nonce}\n{PRELUDE}\n{body}exit {DONE}\n}}\n")
}

fn ask(body: &mut String, question: &Question<'_>) {
    let check = question.check;
    let subject = quote(check.subject());
    let sudo = if question.sudo == Sudo::Auto { "auto" } else { "never" };
    write(body, format_args!("i={} A={sudo} T={}\n", question.index, seconds(check.timeout)));
    match check.resource {
        Resource::Command => write(body, format_args!("ask_command {subject} {}\n", OUTPUT_KEPT + 1)),
        Resource::File => {
            write(body, format_args!("ask_file {subject} '{}' {}\n", file_wants(check), CONTENTS_KEPT + 1));
        }
        Resource::Package => write(body, format_args!("ask_package {subject}\n")),
        Resource::Service => write(body, format_args!("ask_service {subject}\n")),
        Resource::Systemd => body.push_str("ask_systemd\n"),
        Resource::Port => {
            let (family, number) = port(check.subject());
            let state = if family.starts_with("tcp") { "0A" } else { "07" };
            write(body, format_args!("ask_port {family} {number:04X} {state}\n"));
        }
        Resource::User => {
            let groups = if wants(check, "groups") { "g" } else { "" };
            write(body, format_args!("ask_user {subject} '{groups}'\n"));
        }
        Resource::Process => {
            // The kernel keeps 15 bytes of a process's name.
            let name: String = check.subject().chars().take(15).collect();
            write(body, format_args!("ask_process {}\n", quote(&name)));
        }
        Resource::CloudInit => body.push_str("ask_cloud_init\n"),
    }
}

/// The family and the number of `tcp6:22`; a number alone is of family tcp.
pub(super) fn port(id: &str) -> (&str, u16) {
    let (family, number) = id.split_once(':').unwrap_or(("tcp", id));
    (family, number.parse().unwrap_or(0))
}

fn file_wants(check: &Check) -> String {
    [("contents", 'c'), ("md5", 'm'), ("sha256", 'h'), ("sha512", 'H')]
        .iter()
        .filter(|(name, _)| wants(check, name))
        .map(|(_, letter)| letter)
        .collect()
}

fn wants(check: &Check, property: &str) -> bool {
    check.properties.iter().any(|p| p.name == property)
}

/// Whole seconds, rounded up: not every `timeout` takes fractions.
fn seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).max(1) as u64
}

/// `text` as one word of sh.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn write(body: &mut String, line: std::fmt::Arguments<'_>) {
    body.write_fmt(line).expect("writing to a String cannot fail");
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
