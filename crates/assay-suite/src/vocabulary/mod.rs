//! The vocabulary: goss's resources with their attributes (goss 0.4), and assay's own two. It owns which names exist,
//! what kind of value each takes, and which of goss's names are known but come later.

mod external;
mod goss;
mod image;
mod sshd;

use std::time::Duration;

pub use external::EXTERNAL_PRESETS;

use super::ResourceKind;

pub(super) use image::{canonical, implied, patience};

/// What kind of value an attribute has, and so what a plain value there means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
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
    /// Any value (goss's `matching`).
    Any,
    /// Any value, read as a stream of lines (goss's `matching` with `as-reader`).
    Reader,
}

impl ValueKind {
    /// What the elements of such a value are: a host's lists, and the lines of its texts, are texts.
    pub(crate) fn of_elements(self) -> Self {
        match self {
            Self::Any | Self::Reader => Self::Any,
            _ => Self::Text,
        }
    }
}

/// What kind of value a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParameterKind {
    /// true or false.
    Bool,
    /// A text (or a number, as its text).
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts; one text stands for a list of one.
    Texts,
    /// Any value, as it stands.
    Any,
}

/// One resource: its name, which attribute says what is asked about (default: the id), and its properties, the
/// deciding one first.
#[derive(Debug)]
pub(super) struct VocabularyEntry {
    pub resource: ResourceKind,
    pub subject: &'static str,
    pub properties: &'static [(&'static str, ValueKind)],
    /// What may be said of how to ask, beside what is demanded; it goes into [`super::Check::parameters`].
    pub parameters: &'static [(&'static str, ParameterKind)],
    /// goss's attributes that assay does not have yet.
    pub later: &'static [&'static str],
    /// An example of an id, for messages.
    pub example: &'static str,
}

/// goss's resources that assay does not have yet.
pub(super) const LATER_RESOURCES: &[&str] = &["gossfile"];

/// goss's resource that no AMI over SSH can answer.
pub(super) const WINDOWS_RESOURCES: &[&str] = &["registry"];

/// Attributes that every resource takes besides its properties.
pub(super) const COMMON: &[&str] = &["title", "meta", "skip", "retry", "retry_delay", "timeout"];

/// Attributes of the suite itself, defaults for its checks.
pub(super) const SUITE: &[&str] = &["retry", "retry_delay", "timeout", "sudo"];

/// goss's older or other spellings, and the name used here.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("contains", "contents"),
    ("resolveable", "resolvable"),
    ("retry_count", "retry"),
    ("linkedto", "linked-to"),
    ("file-type", "filetype"),
    ("arch", "architecture"),
];

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
    "consist-of",
    "have-key",
    "semver-constraint",
    "gjson",
    "not",
    "and",
    "or",
    "gt",
    "ge",
    "lt",
    "le",
];

/// Matchers of goss versions after 0.4.9, which assay does not have.
pub(super) const LATER_MATCHERS: &[&str] = &["xml"];

/// How an instance can be made to boot again: the ids that `reboot` takes.
pub(super) const REBOOTS: &[&str] = &["soft", "stop-start"];

/// The entry of a resource's name.
pub(super) fn resource(name: &str) -> Option<&'static VocabularyEntry> {
    resources().find(|e| e.resource.as_str() == name)
}

/// Whether the name means something at the top of a goss file, here or in goss.
pub(super) fn is_goss_name(name: &str) -> bool {
    resource(name).is_some() || LATER_RESOURCES.contains(&name) || WINDOWS_RESOURCES.contains(&name)
}

/// The names of a resource's properties; none for an unknown resource.
pub fn properties(name: &str) -> impl Iterator<Item = &'static str> {
    resource(name).into_iter().flat_map(|entry| entry.properties).map(|(name, _)| *name)
}

/// Every resource that can be asked today.
pub(super) fn resources() -> impl Iterator<Item = &'static VocabularyEntry> + Clone {
    goss::RESOURCES.iter().chain(image::RESOURCES).chain(external::RESOURCES)
}

/// The property that goss's files must give. goss reports an error on the host where it is missing.
pub(super) fn required(resource: ResourceKind) -> Option<&'static str> {
    match resource {
        ResourceKind::Command => Some("exit-status"),
        ResourceKind::KernelParam => Some("value"),
        ResourceKind::Matching => Some("matches"),
        other => other.gate().filter(|_| other.is_goss()),
    }
}

/// How long one attempt may take where nothing is said. goss has 0.5 s for addr and dns, which is too short for a host
/// that just booted, and 1 s for mounts.
pub(super) fn timeout(resource: ResourceKind) -> Duration {
    Duration::from_secs(match resource {
        ResourceKind::Addr | ResourceKind::Dns => 2,
        ResourceKind::Http => 5,
        _ => 10,
    })
}
