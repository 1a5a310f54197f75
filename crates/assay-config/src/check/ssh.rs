//! The login settings.

use std::time::Duration;

use super::{EntryPoint, checker::OptionChecker, ways};
use crate::{
    settings::{SshInterface, SshSettings},
    units,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn settings(checker: &mut OptionChecker<'_>) -> SshSettings {
    if checker.entry_point == EntryPoint::Command {
        checker.needed("ssh_username");
    }
    let defaults = SshSettings::default();
    SshSettings {
        username: checker.parsed("ssh_username", username),
        port: checker.whole("ssh_port", 1, 65_535).and_then(|port| u16::try_from(port).ok()).unwrap_or(defaults.port),
        timeout: duration(checker, "ssh_timeout", Duration::from_secs(1), DAY).unwrap_or(defaults.timeout),
        interface: checker.parsed("ssh_interface", interface),
        bastion: ways::bastion(checker),
        proxy_command: ways::proxy_command(checker),
    }
}

/// A duration within bounds.
pub(super) fn duration(
    checker: &mut OptionChecker<'_>,
    name: &str,
    least: Duration,
    most: Duration,
) -> Option<Duration> {
    checker.parsed(name, |text| match units::duration(text) {
        Some(duration) if (least..=most).contains(&duration) => Ok(duration),
        Some(_) => Err(format!("{text:?} is out of bounds; expected {} to {}", words(least), words(most))),
        None => Err(format!("{text:?} is not a duration; expected one like \"90s\" or \"5m\"")),
    })
}

fn words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// An account name that can be handed to SSH: no blanks, control characters or leading dash.
pub(super) fn username(text: &str) -> Result<String, String> {
    let fits = text.len() <= 64
        && !text.starts_with('-')
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"/:@".contains(c));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not an account name; expected one like \"admin\""))
    }
}

fn interface(text: &str) -> Result<SshInterface, String> {
    const WORDS: [(&str, SshInterface); 5] = [
        ("public_ip", SshInterface::PublicIp),
        ("private_ip", SshInterface::PrivateIp),
        ("public_dns", SshInterface::PublicDns),
        ("private_dns", SshInterface::PrivateDns),
        ("ipv6", SshInterface::Ipv6),
    ];
    if text == "session_manager" {
        return Err("\"session_manager\" is not supported: use ssh_proxy_command = \"aws ssm start-session --target {instance_id} \
                    --document-name AWS-StartSSHSession --parameters portNumber={port}\"".to_owned());
    }
    WORDS.iter().find(|(word, _)| *word == text).map(|(_, interface)| *interface).ok_or_else(|| {
        format!("{text:?} is not an interface; expected public_ip, private_ip, public_dns, private_dns or ipv6")
    })
}
