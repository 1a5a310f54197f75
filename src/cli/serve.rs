//! `assay serve`: a prober for others, reached over TCP with mutual TLS. It owns the flags and that the server starts with an empty environment.

use std::{
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clap::Args;

use super::{dispatch, option_flags::problem, output};
use assay_aws::journal::reaper::own_program;
use assay_config::{ConfigProblem, private_key, settings::CidrBlock, units};
use assay_model::exit::ExitStatus;
use assay_prober::remote::{self, AllowedClients, AllowedTargets, ClientLimits, ServeOrder};

/// Variables that the server may keep: none of them is a secret.
const KEPT: [&str; 2] = ["ASSAY_LOG", "NO_COLOR"];

/// Test machines for others, over TCP with mutual TLS
///
/// Runs where the machines can be reached from, like inside a VPC, and holds no credentials. It ends on SIGTERM, after the tests that run. Certificates are read
/// once, at the start.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:7443")]
    listen: SocketAddr,
    /// The server's certificate, and its chain if there is one
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The certificate of the authority that signs clients' certificates
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Clients that may ask: a DNS name or URI of the certificate (subject alternative name; the common name does not count)
    #[arg(long, value_name = "NAME", num_args = 1.., required = true, value_parser = client)]
    allow_client: Vec<String>,
    /// Address blocks that may be dialled; never this machine itself, loopback, link-local, the metadata service or multicast
    #[arg(long, value_name = "CIDR", num_args = 1.., required = true, value_parser = block)]
    allow_target: Vec<CidrBlock>,
    /// Ports that may be dialled
    #[arg(long, value_name = "PORT", num_args = 1.., default_values_t = [22], value_parser = clap::value_parser!(u16).range(1..))]
    allow_port: Vec<u16>,
    /// Targets of one client under test at once; one more waits
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = count)]
    max_targets: usize,
    /// Checks in one request
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = count)]
    max_checks: usize,
    /// The time for one target
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = time)]
    max_time: Duration,
    /// How long a client may take no answer before its test is ended
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = time)]
    client_patience: Duration,
    /// How long running tests may go on after SIGTERM
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = time)]
    drain: Duration,
    /// For tests of assay itself: this very machine may be dialled too, where --allow-target holds the address
    #[arg(long)]
    allow_loopback_for_tests: bool,
}

/// Checks the flags. Fails with every mistake.
pub fn plan(args: &ServeArgs) -> Result<ServeOrder, Vec<ConfigProblem>> {
    let working_dir = dispatch::working_dir()?;
    let mut problems = Vec::new();
    for (flag, path) in [("--cert", &args.cert), ("--ca", &args.ca)] {
        problems.extend(
            certificate(&working_dir.join(path)).err().map(|why| problem(flag, format!("{}: {why}", path.display()))),
        );
    }
    problems.extend(
        private_key::usable(&working_dir.join(&args.key))
            .err()
            .map(|why| problem("--key", format!("{}: {why}", args.key.display()))),
    );
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(ServeOrder {
        listen: args.listen,
        cert: args.cert.clone(),
        key: args.key.clone(),
        ca: args.ca.clone(),
        clients: AllowedClients::new(&args.allow_client),
        targets: AllowedTargets {
            blocks: args.allow_target.clone(),
            ports: args.allow_port.clone(),
            own_machine: args.allow_loopback_for_tests,
        },
        limits: ClientLimits {
            targets: args.max_targets,
            checks: args.max_checks,
            time: args.max_time,
            patience: args.client_patience,
            drain: args.drain,
        },
    })
}

/// Serves until it is asked to end. A program that was started with an environment starts itself again without: what is in it may be credentials.
pub fn execute(order: ServeOrder) -> ExitStatus {
    let program = match own_program() {
        Ok(program) => program,
        Err(error) => {
            output::error(&format!("cannot find this program: {error}"));
            return ExitStatus::Undecided;
        }
    };
    if std::env::vars_os().any(|(name, _)| !KEPT.iter().any(|kept| name == *kept)) {
        return again(&program);
    }
    if order.targets.own_machine {
        output::warning(
            &"--allow-loopback-for-tests: clients may dial this very machine; never use this in production",
        );
    }
    let listening = |address: SocketAddr, unconfined: &[String]| {
        for sentence in unconfined {
            output::warning(sentence);
        }
        output::note(&format!("listening on {address}"));
    };
    match remote::serve(&order, &program, &listening) {
        Ok(()) => ExitStatus::Done,
        Err(error) => {
            output::chain(&error);
            ExitStatus::Undecided
        }
    }
}

/// This program in place of this process, with nearly nothing in its environment. Returns only where that fails.
fn again(program: &Path) -> ExitStatus {
    let kept = KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let error = Command::new(program).arg0("assay").args(std::env::args_os().skip(1)).env_clear().envs(kept).exec();
    output::error(&format!("cannot start again with an empty environment: {error}"));
    ExitStatus::Undecided
}

fn certificate(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(())
    } else {
        Err("is no certificate in PEM; expected \"-----BEGIN CERTIFICATE-----\"".to_owned())
    }
}

fn client(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains('*') {
        Ok(text.to_owned())
    } else {
        Err("expected a DNS name or a URI in full, like ci.example.com or spiffe://example/ci".to_owned())
    }
}

fn block(text: &str) -> Result<CidrBlock, String> {
    units::cidr(text).ok_or_else(|| "expected an address block like 10.20.0.0/16".to_owned())
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| (1..=1_000_000).contains(count)).ok_or_else(|| "expected 1 to 1000000".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    units::duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a duration like \"90s\" or \"5m\"".to_owned())
}
