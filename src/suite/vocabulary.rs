//! The vocabulary: goss's resources with their attributes (goss 0.4), and assay's own two. It owns which names exist,
//! what kind of value each takes, and which of goss's names are known but come later.

use super::Resource;

/// What kind of value an attribute has, and so what a plain value there means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// true or false.
    Bool,
    /// A whole number.
    Number,
    /// File permissions: octal digits in quotes.
    Mode,
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list; a plain list means "holds at least these".
    List,
    /// A list; a plain list means "exactly these" (assay's own resources).
    ExactList,
    /// A stream of lines; a plain text means "exactly this", a plain list means "every pattern is met".
    Lines,
}

/// One resource: its name, which attribute says what is asked about (default: the id), and its properties, the
/// deciding one first.
#[derive(Debug)]
pub(super) struct Entry {
    pub resource: Resource,
    pub subject: &'static str,
    pub properties: &'static [(&'static str, Kind)],
    /// goss's attributes that assay does not have yet.
    pub later: &'static [&'static str],
    /// An example of an id, for messages.
    pub example: &'static str,
}

const FILE_TYPES: &[&str] = &["file", "directory", "symlink", "socket", "pipe", "block-device", "character-device"];

/// Every resource that can be asked today.
pub(super) const RESOURCES: &[Entry] = &[
    Entry {
        resource: Resource::Command,
        subject: "exec",
        properties: &[("exit-status", Kind::Number), ("stdout", Kind::Lines), ("stderr", Kind::Lines)],
        later: &[],
        example: "uname -m",
    },
    Entry {
        resource: Resource::File,
        subject: "path",
        properties: &[
            ("exists", Kind::Bool),
            ("mode", Kind::Mode),
            ("size", Kind::Number),
            ("owner", Kind::Text),
            ("uid", Kind::Number),
            ("group", Kind::Text),
            ("gid", Kind::Number),
            ("linked-to", Kind::Text),
            ("filetype", Kind::Word(FILE_TYPES)),
            ("contents", Kind::Lines),
            ("md5", Kind::Text),
            ("sha256", Kind::Text),
            ("sha512", Kind::Text),
        ],
        later: &[],
        example: "/etc/passwd",
    },
    Entry {
        resource: Resource::Package,
        subject: "name",
        properties: &[("installed", Kind::Bool), ("versions", Kind::List)],
        later: &[],
        example: "openssh-server",
    },
    Entry {
        resource: Resource::Service,
        subject: "name",
        properties: &[("enabled", Kind::Bool), ("running", Kind::Bool)],
        later: &["runlevels"],
        example: "ssh",
    },
    Entry {
        resource: Resource::Port,
        subject: "port",
        properties: &[("listening", Kind::Bool), ("ip", Kind::List)],
        later: &[],
        example: "tcp:22",
    },
    Entry {
        resource: Resource::User,
        subject: "username",
        properties: &[
            ("exists", Kind::Bool),
            ("uid", Kind::Number),
            ("gid", Kind::Number),
            ("groups", Kind::List),
            ("home", Kind::Text),
            ("shell", Kind::Text),
        ],
        later: &[],
        example: "root",
    },
    Entry {
        resource: Resource::Process,
        subject: "comm",
        properties: &[("running", Kind::Bool)],
        later: &[],
        example: "sshd",
    },
    Entry {
        resource: Resource::CloudInit,
        subject: "",
        properties: &[("finished", Kind::Bool), ("errors", Kind::ExactList)],
        later: &[],
        example: "finished",
    },
    Entry {
        resource: Resource::Systemd,
        subject: "",
        properties: &[("failed", Kind::ExactList)],
        later: &[],
        example: "units",
    },
];

/// goss's resources that assay does not have yet.
pub(super) const LATER_RESOURCES: &[&str] =
    &["addr", "dns", "gossfile", "group", "http", "interface", "kernel-param", "matching", "mount"];

/// goss's resource that no AMI over SSH can answer.
pub(super) const WINDOWS_RESOURCES: &[&str] = &["registry"];

/// Attributes that every resource takes besides its properties.
pub(super) const COMMON: &[&str] = &["title", "meta", "skip", "retry", "retry_delay", "timeout"];

/// Attributes of the suite itself, defaults for its checks.
pub(super) const SUITE: &[&str] = &["retry", "retry_delay", "timeout", "sudo"];

/// goss's older or other spellings, and the name used here.
pub(super) const ALIASES: &[(&str, &str)] =
    &[("contains", "contents"), ("retry_count", "retry"), ("linkedto", "linked-to"), ("file-type", "filetype")];

/// Matchers that take what [`super::Matcher`] has.
pub(super) const MATCHERS: &[&str] = &[
    "equal",
    "have-prefix",
    "have-suffix",
    "match-regexp",
    "contain-substring",
    "have-len",
    "have-patterns",
    "contain-element",
    "contain-elements",
    "not",
    "and",
    "or",
    "gt",
    "ge",
    "lt",
    "le",
];

/// goss's matchers that assay does not have yet.
pub(super) const LATER_MATCHERS: &[&str] = &["have-key", "consist-of", "semver-constraint", "gjson", "xml"];

/// The entry of a resource's name.
pub(super) fn resource(name: &str) -> Option<&'static Entry> {
    RESOURCES.iter().find(|e| e.resource.as_str() == name)
}
