//! What users configure. Each option is declared once (`options`), read as it was typed (`raw`), and turned into checked
//! [`Settings`] with all errors at once (`settings`). It owns names, defaults and messages; it refuses the network and credentials:
//! everything here works offline, in `packer validate` on a pull request.

pub mod settings;

pub use settings::{
    AccessSettings, AssumeRole, BastionSettings, LaunchSettings, OnFailure, ProberSettings, Settings, SshInterface,
    SshSettings,
};
