//! What users configure. Each option is declared once (`options`), read as it was typed (`raw`, `file`), and turned into checked
//! [`Settings`] with all errors at once (`check`). It owns names, defaults and messages; it refuses the network and credentials:
//! everything here works offline, in `packer validate` on a pull request.

pub mod check;
pub mod doctor;
pub mod file;
pub mod image_requests;
pub mod options;
pub mod private_key;
pub mod problem;
pub mod promotion_request;
pub mod proxy_template;
pub mod prune;
pub mod raw;
pub mod request;
pub mod roles;
pub mod settings;
pub mod suites;
pub mod units;
pub mod user_data;
pub mod whole;

pub use check::{CheckInput, CheckedConfig, EntryPoint, WayOptions, check, check_ways};
pub use file::ConfigFile;
pub use problem::{ConfigProblem, ValuePlace};
pub use raw::{OptionLayer, TemplateOptions};
pub use settings::{
    AccessSettings, AssumeRole, BastionSettings, LaunchSettings, OnFailure, ProberSettings, RemoteProber, Settings,
    SshInterface, SshSettings,
};
