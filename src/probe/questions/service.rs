//! A service of systemd.

use super::{Kind, Seen, first_line, quote, systemd::systemctl};
use crate::{probe::frames::Frame, suite::Check};

/// See the file.
pub(super) const KIND: Kind = Kind { shell: &[include_str!("service.sh")], ask, observe: service, slow: false };

fn ask(check: &Check) -> String {
    format!("ask_service {}", quote(check.subject()))
}

/// The properties of `systemctl show`. Enabled are the states for which `systemctl is-enabled` exits with 0 (its
/// manual page).
fn service(_: &Check, property: &str, frame: &Frame) -> Seen {
    let output = match systemctl(frame) {
        Ok(output) => output,
        Err(unknown) => return unknown,
    };
    let value = |name: &str| output.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('=')).map(str::trim);
    let (Some(load), Some(active)) = (value("LoadState"), value("ActiveState")) else {
        return Seen::unknown(format!("systemctl said: {}", first_line(&output)));
    };
    let enabled = value("UnitFileState").unwrap_or_default();
    match property {
        "running" => Seen::Value(matches!(active, "active" | "reloading" | "refreshing").into()),
        _ if load == "not-found" => Seen::Value(false.into()),
        _ => Seen::Value(
            matches!(
                enabled,
                "enabled" | "enabled-runtime" | "static" | "alias" | "indirect" | "generated" | "transient"
            )
            .into(),
        ),
    }
}
