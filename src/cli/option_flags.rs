//! Flags that come from the declarations of options: one per option that has a flag, with its sentence as help. It owns how a flag's text
//! becomes a value; names and types are `config::options`'.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, Id};
use serde_json::{Map, Value as Json};

use assay_config::{
    ConfigProblem, OptionLayer, ValuePlace,
    options::{self, OptionDecl, OptionKind, OptionSection},
};

/// Every option with a flag, but `region`: commands take it several times.
#[derive(Debug, Clone, Default)]
pub struct OptionFlags(GivenOptions);

/// Those for reaching AWS.
#[derive(Debug, Clone, Default)]
pub struct AccessFlags(GivenOptions);

/// Those that say by which way a machine is reached.
#[derive(Debug, Clone, Default)]
pub struct WayFlags(GivenOptions);

/// What was given.
#[derive(Debug, Clone, Default)]
pub struct GivenOptions {
    /// The values.
    pub layer: OptionLayer,
    /// Values that do not fit.
    pub problems: Vec<ConfigProblem>,
}

impl OptionFlags {
    /// What was given.
    pub fn given(&self) -> &GivenOptions {
        &self.0
    }
}

impl AccessFlags {
    /// What was given.
    pub fn given(&self) -> &GivenOptions {
        &self.0
    }
}

impl WayFlags {
    /// What was given.
    pub fn given(&self) -> &GivenOptions {
        &self.0
    }
}

/// A mistake on the command line.
pub fn problem(flag: &str, message: impl Into<String>) -> ConfigProblem {
    ConfigProblem::new(ValuePlace::Flag, flag, message)
}

fn every(option: &OptionDecl) -> bool {
    option.refused.is_none() && option.flag.is_some() && option.name != "region"
}

fn access(option: &OptionDecl) -> bool {
    every(option) && matches!(option.file, Some((OptionSection::Access, _)))
}

fn way(option: &OptionDecl) -> bool {
    every(option) && (option.name.starts_with("ssh_bastion_") || option.name == "ssh_proxy_command")
}

fn augment(command: Command, wanted: fn(&OptionDecl) -> bool) -> Command {
    options::all().filter(|option| wanted(option)).fold(command, |command, option| command.arg(arg(option)))
}

fn arg(option: &'static OptionDecl) -> Arg {
    let default = if option.default.is_empty() { String::new() } else { format!(" [default: {}]", option.default) };
    let first = option.doc.split_once(". ").map_or(option.doc, |(first, _)| first).trim_end_matches('.');
    let flag = option.flag.expect("only options with a flag become one");
    let arg = Arg::new(option.name)
        .long(flag)
        .help(format!("{first}{default}"))
        .long_help(format!("{}{default}", option.doc))
        .help_heading(heading(option));
    match option.kind {
        OptionKind::Bool => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("true|false")
        }
        OptionKind::Map => arg.action(ArgAction::Append).value_name("KEY=VALUE"),
        OptionKind::List => arg.action(ArgAction::Append).num_args(1..).value_name(value_name(option)),
        _ => arg.action(ArgAction::Set).value_name(value_name(option)),
    }
}

fn heading(option: &OptionDecl) -> &'static str {
    match option.file {
        Some((OptionSection::Ssh, _)) => "Login",
        Some((OptionSection::Launch, _)) => "Launch",
        Some((OptionSection::Access, _)) => "Access to AWS",
        _ => "What is tested, and where results go",
    }
}

fn value_name(option: &OptionDecl) -> &'static str {
    match option.name {
        "suites"
        | "vars"
        | "manifest"
        | "user_data_file"
        | "shared_credentials_file"
        | "ssh_bastion_private_key_file"
        | "ssh_bastion_known_hosts_file" => "FILE",
        "vars_inline" => "YAML|JSON",
        "report_dir" => "DIR",
        "image" | "profile" | "iam_instance_profile" | "suite_env" => "NAME",
        "instance_types" | "instance_type_fallbacks" => "TYPE",
        "ssh_interface" => "KIND",
        "ssh_username" | "ssh_bastion_username" => "USER",
        "ssh_port" | "ssh_bastion_port" => "PORT",
        "ssh_bastion_host" => "HOST",
        "ssh_proxy_command" => "COMMAND",
        "ssh_timeout" | "ttl" => "DURATION",
        "on_failure" => "quarantine|destroy",
        "temporary_security_group_source_cidrs" => "CIDR",
        "custom_endpoint_ec2" => "URL",
        "max_retries" | "max_parallel" => "N",
        "spot_price" => "DOLLARS|auto",
        "subnet_id" | "vpc_id" | "security_group_ids" => "ID",
        _ => "VALUE",
    }
}

fn collect(matches: &ArgMatches, wanted: fn(&OptionDecl) -> bool) -> GivenOptions {
    let mut given = GivenOptions::default();
    for option in options::all().filter(|option| wanted(option)) {
        let Ok(Some(values)) = matches.try_get_many::<String>(option.name) else { continue };
        let shown = format!("--{}", option.flag.unwrap_or(option.name));
        match value(option, values.map(String::as_str)) {
            Ok(value) => given.layer.give(option, &value, ValuePlace::Flag, shown, &mut given.problems),
            Err(message) => given.problems.push(problem(&shown, message)),
        }
    }
    given
}

fn value<'a>(option: &OptionDecl, mut values: impl Iterator<Item = &'a str>) -> Result<Json, String> {
    match option.kind {
        OptionKind::List => Ok(Json::from_iter(values)),
        OptionKind::Map => {
            let mut map = Map::new();
            for text in values {
                let (key, value) =
                    text.split_once('=').ok_or_else(|| format!("{text:?} has no \"=\"; expected KEY=VALUE"))?;
                if map.insert(key.to_owned(), Json::from(value)).is_some() {
                    return Err(format!("{key:?} is given twice"));
                }
            }
            Ok(Json::Object(map))
        }
        _ => Ok(values.next().map_or(Json::Null, Json::from)),
    }
}

macro_rules! flags {
    ($name:ident, $wanted:path) => {
        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                augment(command, $wanted)
            }

            fn augment_args_for_update(command: Command) -> Command {
                augment(command, $wanted)
            }

            fn group_id() -> Option<Id> {
                None
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(collect(matches, $wanted)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                self.0 = collect(matches, $wanted);
                Ok(())
            }
        }
    };
}

flags!(OptionFlags, every);
flags!(AccessFlags, access);
flags!(WayFlags, way);
