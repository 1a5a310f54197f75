//! Every option, declared once as data. It owns names, types, defaults and sentences; what Packer is told ([`spec`]), the flags of the
//! command line, the names in assay.hcl, docs/options.md ([`markdown`]) and the nearest match of a misspelt name all come from here. It
//! refuses values: what a user gave is `raw`'s and `check`'s business.

mod declared;
mod declared_launch;
mod declared_ways;
mod markdown;
mod refused;
mod spec;

pub use markdown::markdown;
pub use spec::{SpecEntry, SpecKind, spec};

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct OptionDecl {
    /// Its name in a Packer template.
    pub name: &'static str,
    /// The type of its value.
    pub kind: OptionKind,
    /// Whether it must come from somewhere: template, flag or assay.hcl.
    pub needed: bool,
    /// What holds where it is left out, as text for people; empty: nothing.
    pub default: &'static str,
    /// What it does, in sentences.
    pub doc: &'static str,
    /// Whose name and meaning it has.
    pub origin: OptionOrigin,
    /// Where assay.hcl holds it: the block and the name there. `None`: not in assay.hcl.
    pub file: Option<(OptionSection, &'static str)>,
    /// Its flag on the command line, without the dashes. `None`: no flag of its own.
    pub flag: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// `Some`: assay does not honour it, and this sentence says why or what to do instead.
    pub refused: Option<&'static str>,
}

/// The type of an option's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// Text.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A list of texts.
    List,
    /// A map from text to text.
    Map,
    /// A block, at most once.
    Block(&'static [BlockField]),
    /// A block, any number of times.
    BlockList(&'static [BlockField]),
}

impl OptionKind {
    /// The type in the words of a message: "a list of strings".
    pub fn words(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::List => "a list of strings",
            Self::Map => "a map of strings",
            Self::Block(_) => "a block",
            Self::BlockList(_) => "blocks",
        }
    }
}

/// One attribute of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockField {
    /// Its name.
    pub name: &'static str,
    /// Its type; no block.
    pub kind: FieldKind,
    /// What it does.
    pub doc: &'static str,
}

/// The type of a block's attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A list of texts.
    List,
    /// A map from text to text.
    Map,
}

impl FieldKind {
    /// The same type as that of an option.
    pub fn kind(self) -> OptionKind {
        match self {
            Self::String => OptionKind::String,
            Self::Number => OptionKind::Number,
            Self::Bool => OptionKind::Bool,
            Self::List => OptionKind::List,
            Self::Map => OptionKind::Map,
        }
    }
}

/// Whose name and meaning an option has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionOrigin {
    /// assay's own.
    Assay,
    /// Packer's own post-processors.
    Packer,
    /// packer-plugin-amazon's access and run configuration.
    Amazon,
    /// packer-plugin-sdk's communicator.
    Communicator,
}

impl OptionOrigin {
    /// The word in the documentation.
    pub fn word(self) -> &'static str {
        match self {
            Self::Assay => "assay",
            Self::Packer => "Packer",
            Self::Amazon => "amazon",
            Self::Communicator => "communicator",
        }
    }
}

/// The blocks of assay.hcl that hold options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionSection {
    /// Outside every block.
    Top,
    /// `access { … }`
    Access,
    /// `image "NAME" { … }`
    Image,
    /// `suites { … }` in an image.
    Suites,
    /// `ssh { … }` in an image.
    Ssh,
    /// `launch { … }` in an image.
    Launch,
}

impl OptionSection {
    /// How a name in it is shown in messages: `ssh.port`, `owner`.
    pub fn shown(self, name: &str) -> String {
        match self {
            Self::Top | Self::Image => name.to_owned(),
            Self::Access => format!("access.{name}"),
            Self::Suites => format!("suites.{name}"),
            Self::Ssh => format!("ssh.{name}"),
            Self::Launch => format!("launch.{name}"),
        }
    }

    /// Where it is, for documentation.
    pub fn place(self, name: &str) -> String {
        match self {
            Self::Top => name.to_owned(),
            Self::Access => format!("access {{ {name} }}"),
            Self::Image => format!("image {{ {name} }}"),
            Self::Suites => format!("image {{ suites {{ {name} }} }}"),
            Self::Ssh => format!("image {{ ssh {{ {name} }} }}"),
            Self::Launch => format!("image {{ launch {{ {name} }} }}"),
        }
    }
}

/// Every option in the order of the documentation: first those that are honoured, then those that are refused by name.
pub fn all() -> impl Iterator<Item = &'static OptionDecl> {
    declared::OPTIONS.iter().chain(declared_ways::OPTIONS).chain(declared_launch::OPTIONS).chain(refused::OPTIONS)
}

/// The option of that name in a Packer template.
pub fn find(name: &str) -> Option<&'static OptionDecl> {
    all().find(|option| option.name == name)
}

/// The option that assay.hcl calls `name` in `section`.
pub fn in_file(section: OptionSection, name: &str) -> Option<&'static OptionDecl> {
    all().find(|option| option.file == Some((section, name)))
}

/// The names of the honoured options, for suggestions.
pub fn honoured_names() -> impl Iterator<Item = &'static str> {
    all().filter(|option| option.refused.is_none()).map(|option| option.name)
}

/// The known name nearest to what was typed, if one is near enough to be meant: at most a third of its letters differ (Damerau-Levenshtein).
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, name)| *distance <= (name.chars().count().max(typed.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

const fn option(name: &'static str, kind: OptionKind, origin: OptionOrigin, doc: &'static str) -> OptionDecl {
    OptionDecl {
        name,
        kind,
        needed: false,
        default: "",
        doc,
        origin,
        file: None,
        flag: None,
        secret: false,
        refused: None,
    }
}

impl OptionDecl {
    const fn needed(mut self) -> Self {
        self.needed = true;
        self
    }

    const fn default(mut self, text: &'static str) -> Self {
        self.default = text;
        self
    }

    const fn file(mut self, section: OptionSection, name: &'static str) -> Self {
        self.file = Some((section, name));
        self
    }

    const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn refused(mut self, sentence: &'static str) -> Self {
        self.refused = Some(sentence);
        self
    }
}

const fn field(name: &'static str, kind: FieldKind, doc: &'static str) -> BlockField {
    BlockField { name, kind, doc }
}

#[cfg(test)]
mod tests;
