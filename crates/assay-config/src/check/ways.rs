//! By which way an instance is reached: the prober's place, bastion, proxy command.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{CheckInput, ConfigProblem, EntryPoint, OptionChecker, ssh::username};
use crate::{
    private_key, proxy_template,
    raw::OptionLayer,
    settings::{BastionSettings, ProberSettings, RemoteProber},
};

/// What `assay probe` may be told of ways.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WayOptions {
    /// See [`ProberSettings`].
    pub prober: ProberSettings,
    /// `ssh_bastion_*`
    pub bastion: Option<BastionSettings>,
    /// `ssh_proxy_command`
    pub proxy_command: Option<String>,
}

/// Checks the flags that name a way, without assay.hcl. Returns what is right and every mistake.
pub fn check_ways(flags: OptionLayer, working_dir: &Path) -> (WayOptions, Vec<ConfigProblem>) {
    let input = CheckInput::new(EntryPoint::Command, working_dir);
    let mut checker = OptionChecker::new(&input, flags, Vec::new());
    let prober = prober(&mut checker);
    let bastion = bastion(&mut checker);
    let proxy_command = proxy_command(&mut checker);
    (WayOptions { prober, bastion, proxy_command }, checker.problems)
}

pub(super) fn proxy_command(checker: &mut OptionChecker<'_>) -> Option<String> {
    checker.only_one_of("ssh_proxy_command", "ssh_bastion_host");
    checker.parsed("ssh_proxy_command", |text| proxy_template::check(text).map(|()| text.to_owned()))
}

pub(super) fn bastion(checker: &mut OptionChecker<'_>) -> Option<BastionSettings> {
    const NEEDED: [&str; 2] = ["ssh_bastion_username", "ssh_bastion_private_key_file"];
    const OTHERS: [&str; 4] = [NEEDED[0], NEEDED[1], "ssh_bastion_port", "ssh_bastion_known_hosts_file"];
    if !checker.layer.has("ssh_bastion_host") {
        if checker.more_to_come {
            return None;
        }
        for name in OTHERS {
            if checker.given(name).is_some() {
                checker.wrong(name, "says nothing without ssh_bastion_host");
            }
        }
        return None;
    }
    for name in NEEDED {
        if !checker.layer.has(name) {
            checker.wrong("ssh_bastion_host", format!("needs {name} too"));
        }
    }
    let host = checker.parsed("ssh_bastion_host", host);
    let username = checker.parsed("ssh_bastion_username", username);
    let port = checker.whole("ssh_bastion_port", 1, 65_535).and_then(|port| u16::try_from(port).ok()).unwrap_or(22);
    let private_key_file = checker.path("ssh_bastion_private_key_file");
    if let Some(path) = &private_key_file
        && let Err(why) = private_key::usable(&checker.on_disk(path))
    {
        checker.wrong("ssh_bastion_private_key_file", format!("{}: {why}", path.display()));
    }
    let known_hosts_file = checker.path("ssh_bastion_known_hosts_file");
    if let Some(path) = &known_hosts_file
        && let Err(error) = std::fs::File::open(checker.on_disk(path))
    {
        checker.wrong("ssh_bastion_known_hosts_file", format!("{}: cannot be read: {error}", path.display()));
    }
    Some(BastionSettings {
        host: host?,
        port,
        username: username?,
        private_key_file: private_key_file?,
        known_hosts_file,
    })
}

pub(super) fn prober(checker: &mut OptionChecker<'_>) -> ProberSettings {
    let Some(given) = checker.given("prober") else { return ProberSettings::Local };
    let block = given.value.clone();
    let text = |name: &str| block.get(name).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let missing: Vec<&str> = ["address", "ca", "cert", "key"].into_iter().filter(|name| text(name).is_none()).collect();
    if !missing.is_empty() {
        checker.wrong("prober", format!("needs {} too", missing.join(", ")));
    }
    let address = text("address").and_then(|text| match host_and_port(&text) {
        Some(found) => Some(found),
        None => {
            checker
                .wrong("prober", format!("address {text:?} is none; expected HOST:PORT, like prober.example.com:7443"));
            None
        }
    });
    let [ca, cert, key] = ["ca", "cert", "key"].map(|name| text(name).map(|typed| file(checker, name, &typed)));
    match (address, ca, cert, key) {
        (Some((host, port)), Some(ca), Some(cert), Some(key)) => {
            ProberSettings::Remote(RemoteProber { host, port, ca, cert, key })
        }
        _ => ProberSettings::Local,
    }
}

/// A file that the block names, looked at.
fn file(checker: &mut OptionChecker<'_>, name: &str, typed: &str) -> PathBuf {
    let base = checker.base_dir("prober");
    let path = if base == checker.working_dir { PathBuf::from(typed) } else { base.join(typed) };
    let on_disk = checker.on_disk(&path);
    let looked = match name {
        "key" => private_key::usable(&on_disk),
        _ => match std::fs::read_to_string(&on_disk) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => Ok(()),
            Ok(_) => Err("is no certificate in PEM; expected \"-----BEGIN CERTIFICATE-----\"".to_owned()),
            Err(error) => Err(format!("cannot be read: {error}")),
        },
    };
    if let Err(why) = looked {
        checker.wrong("prober", format!("{name} {}: {why}", path.display()));
    }
    path
}

/// `HOST:PORT`, an IPv6 address in brackets.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (name, port) = text.rsplit_once(':')?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    match name.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner?.parse::<std::net::Ipv6Addr>().ok().map(|address| (address.to_string(), port)),
        // Where an address ends and a port begins would be a guess.
        None if name.contains(':') => None,
        None => host(name).ok().map(|name| (name, port)),
    }
}

/// A host's name or address as it can be dialled.
fn host(text: &str) -> Result<String, String> {
    let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    if !text.is_empty() && text.len() <= 253 && !text.starts_with('-') && (is_name(text) || is_address) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a host; expected a name or an address, without a port"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        assert_eq!(host_and_port("prober.internal:7443"), Some(("prober.internal".into(), 7443)));
        assert_eq!(host_and_port("[2001:db8::1]:1"), Some(("2001:db8::1".into(), 1)));
        for bad in ["", "x", ":1", "x:0", "x:70000", "[x]:1", "2001:db8::1:443", "a b:1", "https://x:1", "-x:1"] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }
}
