//! How targets are reached: which prober asks them, and by which way its connections go. It owns the reading of the bastion's key and the names that are
//! resolved here; it refuses to connect anywhere but to a prober elsewhere.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use secrecy::SecretString;
use tokio::{
    net::lookup_host,
    time::{Instant, sleep},
};

use super::known_hosts;
use assay_config::{
    BastionSettings, ProberSettings,
    proxy_template::{self, PlaceholderValues},
};
use assay_model::{HostKeyPin, UndecidedKind, cause::chain, evidence::UndecidedReason};
use assay_prober::{BastionOrder, BastionProcess, ConnectionMaker, ConnectionMeans, ConnectionWay, Prober};

/// The pause before a name is looked up again.
const RESOLVE_PAUSE: Duration = Duration::from_secs(2);

/// Where a target is dialled, and by which way.
pub(crate) type DialPlace = (SocketAddr, ConnectionWay);

/// The ways of one run.
#[derive(Debug)]
pub(crate) struct RunReach {
    by: Option<DialWay>,
}

#[derive(Debug)]
enum DialWay {
    Command(String),
    Bastion(Arc<BastionProcess>),
}

/// Starts the prober, or finds the one elsewhere in service. Nothing may be launched before: without it nothing can be tested.
pub(crate) async fn prober(settings: &ProberSettings, program: &Path) -> Result<Prober, UndecidedReason> {
    let prober = match settings {
        ProberSettings::Local => Prober::start(program).await,
        ProberSettings::Remote(remote) => Prober::connect(remote).await,
    };
    prober.map_err(|error| undecided(UndecidedKind::Prober, chain(&error)))
}

impl RunReach {
    /// Prepares what the settings say. Fails where a bastion's key or name cannot be read or its process does not start.
    pub(crate) async fn prepare(
        bastion: Option<&BastionSettings>,
        proxy_command: Option<&str>,
        program: &Path,
    ) -> Result<Self, UndecidedReason> {
        let by = match (bastion, proxy_command) {
            (Some(settings), _) => Some(DialWay::Bastion(Arc::new(start(settings, program).await?))),
            (None, Some(line)) => Some(DialWay::Command(line.to_owned())),
            (None, None) => None,
        };
        Ok(Self { by })
    }

    /// The way to one machine, and its address where the prober dials it: that has no resolver.
    pub(crate) async fn to(&self, host: &str, port: u16, instance: Option<&str>) -> Result<DialPlace, UndecidedReason> {
        let by = match &self.by {
            None => return Ok((resolve(host, port).await?, ConnectionWay::Direct)),
            Some(DialWay::Bastion(bastion)) => ConnectionMeans::Bastion(Arc::clone(bastion)),
            Some(DialWay::Command(line)) => {
                let filled = proxy_template::fill(line, PlaceholderValues { host, port, instance_id: instance });
                ConnectionMeans::Command(
                    filled
                        .map_err(|why| undecided(UndecidedKind::Configuration, format!("ssh_proxy_command: {why}")))?,
                )
            }
        };
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
        Ok((nowhere, ConnectionWay::Carried(Arc::new(ConnectionMaker { host: host.to_owned(), port, by }))))
    }

    /// [`RunReach::to`], asked again within `patience` where the name cannot be resolved: a name that EC2 gave a moment ago may not be known yet.
    pub(crate) async fn to_within(
        &self,
        host: &str,
        port: u16,
        instance: Option<&str>,
        patience: Duration,
    ) -> Result<DialPlace, UndecidedReason> {
        let deadline = Instant::now() + patience;
        loop {
            match self.to(host, port, instance).await {
                Err(reason)
                    if reason.kind == UndecidedKind::Unreachable && Instant::now() + RESOLVE_PAUSE < deadline =>
                {
                    tracing::info!(reason = reason.reason, "a name is looked up again");
                    sleep(RESOLVE_PAUSE).await;
                }
                found => return found,
            }
        }
    }

    /// OpenSSH's ProxyCommand for an external suite; absent where connections are made directly.
    pub(crate) fn proxy_command(&self, host: &str, port: u16, instance: Option<&str>) -> Option<String> {
        match &self.by {
            Some(DialWay::Command(line)) => {
                proxy_template::fill(line, PlaceholderValues { host, port, instance_id: instance }).ok()
            }
            _ => None,
        }
    }

    /// Whether connections go through a bastion: its key is no external suite's to have.
    pub(crate) fn has_bastion(&self) -> bool {
        matches!(self.by, Some(DialWay::Bastion(_)))
    }

    /// How the bastion's host key was verified so far; absent where there is no bastion.
    pub(crate) fn bastion_host_key(&self) -> Option<HostKeyPin> {
        match &self.by {
            Some(DialWay::Bastion(bastion)) if bastion.is_pinned() && bastion.seen().is_some() => {
                Some(HostKeyPin::Given)
            }
            Some(DialWay::Bastion(_)) => Some(HostKeyPin::None),
            _ => None,
        }
    }
}

async fn start(settings: &BastionSettings, program: &Path) -> Result<BastionProcess, UndecidedReason> {
    let wrong = |reason: String| undecided(UndecidedKind::Configuration, reason);
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))
    };
    let private_key = SecretString::from(read(&settings.private_key_file)?);
    let host_keys = match &settings.known_hosts_file {
        None => Vec::new(),
        Some(path) => {
            let known = known_hosts::keys(&read(path)?, &settings.host, settings.port);
            if known.keys.is_empty() {
                let reason = format!(
                    "{} has no key of the bastion {} at port {}; add it with ssh-keyscan once you trust it{}",
                    path.display(),
                    settings.host,
                    settings.port,
                    known.hint()
                );
                return Err(undecided(UndecidedKind::HostKey, reason));
            }
            known.keys
        }
    };
    let address = resolve(&settings.host, settings.port).await?;
    let order = BastionOrder { address, user: settings.username.clone(), private_key, host_keys };
    BastionProcess::start(program, order).await.map_err(|error| undecided(UndecidedKind::Prober, chain(&error)))
}

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, UndecidedReason> {
    let unreachable = |reason: String| undecided(UndecidedKind::Unreachable, reason);
    let mut found = lookup_host((host, port))
        .await
        .map_err(|error| unreachable(format!("the address {host} cannot be resolved: {error}")))?;
    found.next().ok_or_else(|| unreachable(format!("the name {host} has no address")))
}

fn undecided(kind: UndecidedKind, reason: String) -> UndecidedReason {
    UndecidedReason { kind, reason }
}
