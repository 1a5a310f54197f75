//! `assay probe`: suites on machines that answer SSH.

use std::{
    collections::BTreeSet,
    net::Ipv6Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{
    args::{GlobalOptions, VarFlags},
    dispatch,
    live::{self, OnInterrupt},
    option_flags::{WayFlags, problem},
    output,
    prober_flags::ProberFlags,
    results,
    shard::{self, ShardChoice},
};
use crate::test_run as run;
use assay_config::{
    ConfigProblem, check_ways, private_key,
    request::{HostKeyTrust, ProbeHost, ProbeRequest},
    suites, units,
};
use assay_model::exit::ExitStatus;

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
    /// Record what is in each machine too: packages, kernels, units, ports, accounts, set-id programs; for assay diff
    #[arg(long)]
    inventory: bool,
    /// Only this share of the machines, like 2/4; auto: by CIRCLE_NODE_INDEX and CIRCLE_NODE_TOTAL, which say it in a CircleCI job of several containers.
    /// A share that holds nothing ends with 6
    #[arg(long, value_name = "I/N|auto")]
    shard: Option<ShardChoice>,
    #[command(flatten)]
    ways: WayFlags,
    #[command(flatten)]
    prober: ProberFlags,
}

/// Checks the flags. Fails with every mistake.
pub fn plan(args: &ProbeArgs, globals: &GlobalOptions) -> Result<ProbeRequest, Vec<ConfigProblem>> {
    plan_in(args, globals, &dispatch::working_dir()?, suites::load, &|name| std::env::var(name).ok())
}

/// [`plan`] with the world given.
pub(super) fn plan_in(
    args: &ProbeArgs,
    globals: &GlobalOptions,
    working_dir: &Path,
    load_suites: suites::SuiteLoader,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<ProbeRequest, Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    let hosts: BTreeSet<&ProbeHost> = args.hosts.iter().collect();
    if hosts.len() < args.hosts.len() {
        problems.push(problem("--host", "names a machine twice"));
    }
    problems.extend(private_key::usable(&working_dir.join(&args.key)).err().map(|why| {
        let path = args.key.display();
        problem("--key", format!("{path}: {why}"))
    }));
    let host_key = host_key(args, working_dir, &mut problems);
    if let Some(report_dir) = args.report_dir.as_ref().filter(|path| working_dir.join(path).is_file()) {
        problems.push(problem("--report-dir", format!("{} is a file; expected a folder", report_dir.display())));
    }
    let outputs = globals.outputs().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    let shard = shard::asked(args.shard, environment).map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    let given = args.ways.given();
    problems.extend(given.problems.clone());
    let mut flags = given.layer.clone();
    args.prober.give(&mut flags, &mut problems);
    let (ways, wrong) = check_ways(flags, working_dir);
    problems.extend(wrong);
    let vars = args.vars.sources(working_dir, globals);
    let suites = load_suites(&args.suites, working_dir, &vars);
    let (hosts, shard) = match shard {
        Some(shard) if problems.is_empty() => {
            let (hosts, record) = shard::divide(shard, &args.hosts, ToString::to_string);
            (hosts, Some(record))
        }
        _ => (args.hosts.clone(), None),
    };
    match suites {
        Ok(suites) if problems.is_empty() => Ok(ProbeRequest {
            hosts,
            key: args.key.clone(),
            host_key,
            suites,
            bounds: vars.bounds,
            timeout: args.ssh_timeout,
            ways,
            report_dir: args.report_dir.clone(),
            inventory: args.inventory,
            shard,
            outputs,
        }),
        Ok(_) => Err(problems),
        Err(diagnostics) => {
            problems.extend(diagnostics.into_iter().map(|diagnostic| problem("--suite", diagnostic)));
            Err(problems)
        }
    }
}

/// What a first interrupt does.
const ON_INTERRUPT: OnInterrupt = OnInterrupt::Cancel("cancelled; cleaning up what was started");

/// Runs the suites on every machine at once; prints what was found.
pub fn execute(request: ProbeRequest) -> ExitStatus {
    if request.hosts.is_empty() {
        return ExitStatus::Nothing;
    }
    let outputs = request.outputs.clone();
    live::run(outputs.stdout, ON_INTERRUPT, async move |events, cancel| {
        match run::probe(request, events, cancel).await {
            Ok(finished) => results::shown(finished, &outputs),
            Err(error) => {
                output::error(&error);
                ExitStatus::Usage
            }
        }
    })
}

fn host_key(args: &ProbeArgs, working_dir: &Path, problems: &mut Vec<ConfigProblem>) -> HostKeyTrust {
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

/// Reads `USER@HOST[:PORT]`. The host is spelled in its one form, so that the same machine is not tested twice at once, and known_hosts names it.
pub(super) fn host(text: &str) -> Result<ProbeHost, String> {
    let wrong = || "expected USER@HOST[:PORT], like admin@10.0.0.5 or admin@[2001:db8::1]:2222".to_owned();
    let (user, rest) = text.rsplit_once('@').ok_or_else(wrong)?;
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or_else(wrong)?;
            let host = host.parse::<Ipv6Addr>().map_err(|_| wrong())?.to_string();
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(wrong()),
            }
        }
        None => {
            let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
            // Names are the same in either case (RFC 4343).
            (host.to_ascii_lowercase(), port)
        }
    };
    let port = match port {
        Some(port) => port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        None => 22,
    };
    let plain = |text: &str| {
        !text.is_empty() && !text.starts_with('-') && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    if plain(user) && plain(&host) { Ok(ProbeHost { user: user.to_owned(), host, port }) } else { Err(wrong()) }
}

fn timeout(text: &str) -> Result<Duration, String> {
    units::duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a duration like \"90s\" or \"5m\"".to_owned())
}
