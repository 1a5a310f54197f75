//! What hosts can be asked, one file per kind of resource: the shell function that asks (`*.sh`), the line that calls
//! it, and the reading of its answer into the values that properties are about. It refuses to judge. Every byte of an
//! answer comes from the host and may be anything.
//!
//! A new kind is two files here, a line in [`of`], and its names in the suite's vocabulary.

mod accounts;
mod addr;
mod boot;
mod cloud_init;
mod command;
mod dns;
mod dns_message;
mod file;
mod group;
mod http;
mod http_answer;
mod hygiene;
mod interface;
mod kernel_param;
mod listening;
mod mount;
mod package;
mod port;
mod process;
mod root_filesystem;
mod service;
mod sockets;
mod sshd;
mod systemd;
mod user;

use serde_json::Value;

pub(super) use cloud_init::SHELL as CLOUD_INIT;
pub(super) use hygiene::{introduce, public_half};

use super::frames::AnswerFrame;
use assay_suite::{Check, QuestionAsker, ResourceKind};

/// The function that asks a host about itself: no resource, see `facts`.
pub(super) const FACTS: &str = include_str!("facts.sh");

/// The functions that ask what is in an image, see `inventory`; its ports are asked for by [`LISTENING`], its kernels by [`KERNELS`].
pub(super) const INVENTORY: &str = include_str!("inventory.sh");
/// The function that lists the kernels which can be booted.
pub(super) const KERNELS: &str = include_str!("kernels.sh");
pub(super) use listening::{ListeningSocket, SHELL as LISTENING, is_loopback, listeners};

/// How much of a command's stdout and of its stderr is kept.
pub(super) const OUTPUT_KEPT: usize = 64 << 10;
/// How much of a file's contents is kept.
pub(super) const CONTENTS_KEPT: usize = 256 << 10;

/// How one kind of resource is asked about.
pub(super) struct QuestionKind {
    /// The shell functions that it needs beside the prelude's; each text goes into a script once.
    pub shell: &'static [&'static str],
    /// The command that asks, without a newline. `$i`, `$A` and `$T` are set before it (see prelude.sh).
    pub ask: fn(&Check) -> String,
    /// What an answer says about a property.
    pub observe: fn(&Check, &str, &AnswerFrame) -> SeenProperty,
    /// Whether an answer may wait for others than the host (a network, a command), so that it is better not waited for
    /// in line.
    pub slow: bool,
}

/// How hosts are asked about `resource`; `None` where hosts are not asked at all.
pub(super) fn of(resource: ResourceKind) -> Option<&'static QuestionKind> {
    Some(match resource {
        ResourceKind::Addr => &addr::KIND,
        ResourceKind::Boot => &boot::KIND,
        ResourceKind::CloudInit => &cloud_init::KIND,
        ResourceKind::Command => &command::KIND,
        ResourceKind::Dns => &dns::KIND,
        ResourceKind::File => &file::KIND,
        ResourceKind::Group => &group::KIND,
        ResourceKind::Http => &http::KIND,
        ResourceKind::Hygiene => &hygiene::KIND,
        ResourceKind::Interface => &interface::KIND,
        ResourceKind::KernelParam => &kernel_param::KIND,
        ResourceKind::Listening => &listening::KIND,
        ResourceKind::Mount => &mount::KIND,
        ResourceKind::Package => &package::KIND,
        ResourceKind::Port => &port::KIND,
        ResourceKind::Process => &process::KIND,
        ResourceKind::RootFilesystem => &root_filesystem::KIND,
        ResourceKind::Service => &service::KIND,
        ResourceKind::Sshd => &sshd::KIND,
        ResourceKind::Systemd => &systemd::KIND,
        ResourceKind::User => &user::KIND,
        _ => return None,
    })
}

/// What is known of one property.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SeenProperty {
    /// Its value.
    Value(Value),
    /// The beginning of a text that was longer than what is kept.
    Beginning(String),
    /// A text whose bytes are not all characters.
    NotUtf8(Vec<u8>),
    /// There is no value, because there is no such file, user, …: the demand is not met. Says why.
    Nothing(String),
    /// No trustworthy answer. Says why.
    Unknown(String),
}

impl SeenProperty {
    fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(why.into())
    }
}

/// What `frame`, the answer to `check`, says about `property`.
pub(super) fn observe(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    match of(check.resource) {
        Some(kind) => (kind.observe)(check, property, frame),
        None => SeenProperty::unknown("hosts are not asked about this"),
    }
}

/// Why a check that hosts are not asked about has no answer here.
pub(super) fn not_asked(check: &Check) -> &'static str {
    match check.resource.asker() {
        QuestionAsker::Conductor => "only EC2 or a second boot can tell, and there is neither here",
        QuestionAsker::Suite | QuestionAsker::Host => "hosts are not asked about this",
    }
}

/// The first word of an answer: whether the thing is there.
fn exists(frame: &AnswerFrame, why_unknown: &str) -> SeenProperty {
    match frame.word('x') {
        Some("1") => SeenProperty::Value(true.into()),
        Some("0") => SeenProperty::Value(false.into()),
        _ => SeenProperty::unknown(why_unknown),
    }
}

fn kept(frame: &AnswerFrame, letter: char, limit: usize) -> SeenProperty {
    match frame.bytes(letter) {
        Some(bytes) => beginning(bytes, limit),
        None => SeenProperty::unknown("the output is missing"),
    }
}

fn beginning(bytes: &[u8], limit: usize) -> SeenProperty {
    match bytes.get(..limit) {
        Some(kept) if bytes.len() > limit => SeenProperty::Beginning(String::from_utf8_lossy(kept).into_owned()),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => SeenProperty::Value(text.into()),
            Err(_) => SeenProperty::NotUtf8(bytes.to_vec()),
        },
    }
}

fn first_line(text: &str) -> &str {
    text.lines().find(|l| !l.trim().is_empty()).unwrap_or("nothing")
}

/// What a program complained of, without the dynamic loader's words about preloaded libraries (ld.so(8)): those come from agents, and every program
/// says them.
fn complaints(stderr: &str) -> String {
    let lines = stderr.lines().filter(|line| !line.starts_with("ERROR: ld.so: "));
    lines.collect::<Vec<_>>().join("\n")
}

fn wants(check: &Check, property: &str) -> bool {
    check.properties.iter().any(|p| p.name == property)
}

/// The parameter `name` of `check`, where it is a text and not empty.
fn text<'a>(check: &'a Check, name: &str) -> Option<&'a str> {
    check.parameters.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// `text` as one word of sh.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod image_tests;
#[cfg(test)]
mod tests;
