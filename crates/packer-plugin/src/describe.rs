//! The command line that Packer gives a plugin, and the JSON by which a plugin describes itself.
//!
//! It owns the words `describe` and `start`; it refuses to be an option parser: the default component name begins with
//! a dash and the flag comes before it (`start post-processor --protobuf -packer-default-plugin-name-`), which ordinary
//! parsers reject.

use serde::Serialize;

/// The component name that answers to the plugin's own name: `post-processor "x"` of the plugin `packer-plugin-x`.
pub const DEFAULT_NAME: &str = "-packer-default-plugin-name-";

/// The plugin API this room speaks, as Packer writes it in file names and compares it.
pub const API_VERSION: &str = "x5.0";

/// Says that the plugin can answer ConfigSpec in protobuf. Without it Packer uses gob for every installed plugin.
const PROTOCOL_VERSION: &str = "v2";

/// What the plugin says about itself. The other component kinds are empty lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginDescription {
    /// The plugin's version, as semver; Packer refuses a prerelease other than `dev` at installation.
    pub version: String,
    /// Names of the post-processors: [`DEFAULT_NAME`], or a suffix to the plugin's name.
    pub post_processors: Vec<String>,
    /// Names of the data sources, likewise.
    pub datasources: Vec<String>,
}

/// The document's shape: `SetDescription` in the SDK's `plugin/set.go`.
#[derive(Serialize)]
struct DescriptionDocument<'a> {
    version: &'a str,
    api_version: &'static str,
    builders: [&'static str; 0],
    post_processors: &'a [String],
    provisioners: [&'static str; 0],
    datasources: &'a [String],
    protocol_version: &'static str,
}

impl PluginDescription {
    /// The answer to `describe`: one line of JSON, without the line's end.
    pub fn to_json(&self) -> String {
        let document = DescriptionDocument {
            version: &self.version,
            api_version: API_VERSION,
            builders: [],
            post_processors: &self.post_processors,
            provisioners: [],
            datasources: &self.datasources,
            protocol_version: PROTOCOL_VERSION,
        };
        serde_json::to_string(&document).expect("strings and lists of strings always become JSON")
    }
}

/// The kinds of component that Packer can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComponentKind {
    /// `start builder`
    Builder,
    /// `start post-processor`
    PostProcessor,
    /// `start provisioner`
    Provisioner,
    /// `start datasource`
    Datasource,
}

impl ComponentKind {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "builder" => Some(Self::Builder),
            "post-processor" => Some(Self::PostProcessor),
            "provisioner" => Some(Self::Provisioner),
            "datasource" => Some(Self::Datasource),
            _ => None,
        }
    }

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::PostProcessor => "post-processor",
            Self::Provisioner => "provisioner",
            Self::Datasource => "datasource",
        }
    }
}

/// What Packer asked of the plugin by its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// `describe`: print the description, exit 0. Needs no cookie.
    Describe,
    /// `start KIND [--protobuf] NAME`: serve one component.
    Start {
        /// Which kind of component.
        kind: ComponentKind,
        /// Which of that kind; may begin with a dash.
        name: String,
        /// Whether ConfigSpec is to be answered in protobuf; otherwise in gob.
        protobuf: bool,
    },
    /// `start` with something else behind it; the text says what would be right.
    Misused(String),
}

/// Tells whether the arguments (without the program's own name) are Packer's, and what they ask.
///
/// `None` means that a person typed something else: the caller's own command line takes over.
pub fn is_plugin_invocation<I, S>(arguments: I) -> Option<Invocation>
where
    I: IntoIterator<Item = S>,
    S: AsRef<str>,
{
    let mut protobuf = false;
    let mut words = Vec::new();
    for argument in arguments {
        match argument.as_ref() {
            "--protobuf" => protobuf = true,
            word => words.push(word.to_owned()),
        }
    }
    match words.first().map(String::as_str) {
        Some("describe") if words.len() == 1 => Some(Invocation::Describe),
        Some("start") => Some(start(&words[1..], protobuf)),
        _ => None,
    }
}

fn start(words: &[String], protobuf: bool) -> Invocation {
    let [kind, name] = words else {
        return Invocation::Misused(format!(
            "`start` takes a kind and a name, like `start post-processor {DEFAULT_NAME}`; found {} words",
            words.len()
        ));
    };
    match ComponentKind::parse(kind) {
        Some(kind) => Invocation::Start { kind, name: name.clone(), protobuf },
        None => Invocation::Misused(format!(
            "`start {kind}`: Packer's kinds are builder, post-processor, provisioner and datasource"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Invocation> {
        is_plugin_invocation(line.split_whitespace())
    }

    fn post_processor(name: &str, protobuf: bool) -> Option<Invocation> {
        Some(Invocation::Start { kind: ComponentKind::PostProcessor, name: name.into(), protobuf })
    }

    #[test]
    fn packers_own_command_lines_are_understood() {
        assert_eq!(parse("describe"), Some(Invocation::Describe));
        assert_eq!(
            parse("start post-processor --protobuf -packer-default-plugin-name-"),
            post_processor(DEFAULT_NAME, true)
        );
        assert_eq!(parse("start post-processor -packer-default-plugin-name-"), post_processor(DEFAULT_NAME, false));
    }

    #[test]
    fn the_flag_may_stand_anywhere() {
        for line in [
            "--protobuf start post-processor x",
            "start --protobuf post-processor x",
            "start post-processor x --protobuf",
        ] {
            assert_eq!(parse(line), post_processor("x", true), "{line}");
        }
    }

    #[test]
    fn a_persons_command_line_is_left_to_others() {
        for line in ["", "validate --ami x", "describe x", "--protobuf", "help start"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_wrong_start_is_named() {
        for line in ["start", "start post-processor", "start post-processor a b", "start engine x"] {
            assert!(matches!(parse(line), Some(Invocation::Misused(_))), "{line:?}");
        }
    }

    #[test]
    fn the_description_holds_what_packer_reads() {
        let description = PluginDescription {
            version: "0.1.0".into(),
            post_processors: vec![DEFAULT_NAME.into()],
            datasources: vec!["image".into()],
        };
        assert_eq!(
            description.to_json(),
            r#"{"version":"0.1.0","api_version":"x5.0","builders":[],"post_processors":["-packer-default-plugin-name-"],"provisioners":[],"datasources":["image"],"protocol_version":"v2"}"#
        );
    }
}
