//! `assay probe`: suites on machines that answer SSH.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use zeroize::Zeroizing;

use super::{
    args::{Globals, VarFlags},
    dispatch, live,
    option_flags::problem,
    output, results,
};
use crate::{
    config::{
        Problem,
        request::{HostKeyTrust, ProbeHost, ProbeRequest},
        suites, units,
    },
    exit::Exit,
    run,
};

/// Run suites on machines that answer SSH; no cloud involved
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The machines; an IPv6 address in brackets: admin@[2001:db8::1]:22
    #[arg(long = "host", value_name = "USER@HOST[:PORT]", num_args = 1.., required = true, value_parser = host)]
    hosts: Vec<ProbeHost>,
    /// The private key to log in with, without a passphrase
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The suites to run
    #[arg(long = "suite", value_name = "FILE", num_args = 1.., required = true)]
    suites: Vec<PathBuf>,
    #[command(flatten)]
    vars: VarFlags,
    /// The machine's host key, like "ssh-ed25519 AAAA…"
    #[arg(long, value_name = "LINE", conflicts_with = "known_hosts")]
    host_key: Option<String>,
    /// The host keys, in OpenSSH's known_hosts format; without this and --host-key any host key is taken, and the record says so
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    /// How long a login may take to work
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = timeout)]
    ssh_timeout: Duration,
    /// The folder for junit.xml, evidence.json and report.txt
    #[arg(long, value_name = "DIR")]
    report_dir: Option<PathBuf>,
}

/// Checks the flags. Fails with every mistake.
pub fn plan(args: &ProbeArgs, globals: &Globals) -> Result<ProbeRequest, Vec<Problem>> {
    plan_in(args, globals, &dispatch::working_dir()?, suites::load)
}

/// [`plan`] with the world given.
pub(super) fn plan_in(
    args: &ProbeArgs,
    globals: &Globals,
    working_dir: &Path,
    load_suites: suites::SuiteLoader,
) -> Result<ProbeRequest, Vec<Problem>> {
    let mut problems = Vec::new();
    let hosts: BTreeSet<&ProbeHost> = args.hosts.iter().collect();
    if hosts.len() < args.hosts.len() {
        problems.push(problem("--host", "names a machine twice"));
    }
    problems.extend(key(&working_dir.join(&args.key)).err().map(|why| {
        let path = args.key.display();
        problem("--key", format!("{path}: {why}"))
    }));
    let host_key = host_key(args, working_dir, &mut problems);
    if let Some(report_dir) = args.report_dir.as_ref().filter(|path| working_dir.join(path).is_file()) {
        problems.push(problem("--report-dir", format!("{} is a file; expected a folder", report_dir.display())));
    }
    let suites = load_suites(&args.suites, working_dir, &args.vars.sources(working_dir));
    match suites {
        Ok(suites) if problems.is_empty() => Ok(ProbeRequest {
            hosts: args.hosts.clone(),
            key: args.key.clone(),
            host_key,
            suites,
            timeout: args.ssh_timeout,
            report_dir: args.report_dir.clone(),
            format: globals.format.into(),
        }),
        Ok(_) => Err(problems),
        Err(diagnostics) => {
            problems.extend(diagnostics.into_iter().map(|diagnostic| problem("--suite", diagnostic)));
            Err(problems)
        }
    }
}

/// Runs the suites on every machine at once; prints what was found.
pub fn execute(request: ProbeRequest) -> Exit {
    let format = request.format;
    live::run(format, async move |events, cancel| match run::probe(request, events, cancel).await {
        Ok(finished) => results::shown(&finished, format),
        Err(error) => {
            output::error(&error);
            Exit::Usage
        }
    })
}

/// Whether the file is a private key that can be used unattended: a `.pub` file or a passphrase would only show as logins that never work.
fn key(path: &Path) -> Result<(), String> {
    let bytes = Zeroizing::new(std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if !(first.starts_with("-----BEGIN ") && first.contains("PRIVATE KEY-----")) {
        let public = if first.starts_with("ssh-") || first.starts_with("ecdsa-") {
            "is a public key"
        } else {
            "is no private key"
        };
        return Err(format!("{public}; expected a private one, which begins with \"-----BEGIN … PRIVATE KEY-----\""));
    }
    let openssh = ssh_key::PrivateKey::from_openssh(text);
    let legacy = text.lines().any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"));
    if legacy || first.contains("ENCRYPTED") || openssh.is_ok_and(|key| key.is_encrypted()) {
        return Err("has a passphrase, and nobody is asked for one; expected a key without".to_owned());
    }
    Ok(())
}

fn host_key(args: &ProbeArgs, working_dir: &Path, problems: &mut Vec<Problem>) -> HostKeyTrust {
    if let Some(line) = &args.host_key {
        if args.hosts.len() > 1 {
            problems.push(problem("--host-key", "is one machine's; for several use --known-hosts"));
        }
        if let Err(error) = ssh_key::PublicKey::from_openssh(line.trim()) {
            let message = format!("{line:?} is no host key ({error}); expected one like \"ssh-ed25519 AAAA…\"");
            problems.push(problem("--host-key", message));
        }
        return HostKeyTrust::Line(line.trim().to_owned());
    }
    match &args.known_hosts {
        Some(path) => {
            if let Err(error) = std::fs::File::open(working_dir.join(path)) {
                problems.push(problem("--known-hosts", format!("cannot read {}: {error}", path.display())));
            }
            HostKeyTrust::KnownHosts(path.clone())
        }
        None => HostKeyTrust::None,
    }
}

/// Reads `USER@HOST[:PORT]`.
pub(super) fn host(text: &str) -> Result<ProbeHost, String> {
    let wrong = || "expected USER@HOST[:PORT], like admin@10.0.0.5 or admin@[2001:db8::1]:2222".to_owned();
    let (user, rest) = text.rsplit_once('@').ok_or_else(wrong)?;
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or_else(wrong)?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(wrong());
            }
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(wrong()),
            }
        }
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        None => 22,
    };
    let plain = |text: &str| {
        !text.is_empty() && !text.starts_with('-') && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    if plain(user) && plain(host) {
        Ok(ProbeHost { user: user.to_owned(), host: host.to_owned(), port })
    } else {
        Err(wrong())
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    units::duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a duration like \"90s\" or \"5m\"".to_owned())
}
