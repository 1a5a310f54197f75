//! How AWS is reached: credentials, endpoints, timeouts, one EC2 client per region. It owns the translation of
//! [`AccessSettings`] into the SDK's configuration; what the settings leave open is the SDK's default chain. It refuses to
//! make a call to EC2 itself.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::{
    BehaviorVersion, ConfigLoader, SdkConfig, identity::IdentityCache, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig, retry::RetryConfig, sts::AssumeRoleProvider, timeout::TimeoutConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures::future::{BoxFuture, FutureExt};
use secrecy::ExposeSecret;
use tokio::sync::watch;

use super::{
    Cloud, CloudError, CloudErrorKind, CloudFactory, CloudResult, ResolvedCredentials, checkip,
    credentials::{HandedOver, ObservedCredentials},
    ec2,
};
use assay_config::{AccessSettings, AssumeRole};
use assay_model::{AccountId, Region};

/// The SDK sets neither by itself; without them a lost packet may hang a run for minutes.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long `checkip` may take where its answer is only one of two.
const CHECKIP_BESIDE: Duration = Duration::from_secs(3);

/// STS and the SDK need some region where the user names none; each AMI then names its own.
const REGION_OF_LAST_RESORT: &str = "us-east-1";

/// Makes EC2 clients for one set of credentials. Cheap to share; a client is made once per region.
pub struct Ec2Factory {
    sdk: SdkConfig,
    /// `custom_endpoint_ec2`; the SDK itself honours AWS_ENDPOINT_URL(_EC2) and the profile's endpoint_url.
    custom_endpoint: Option<String>,
    clients: Mutex<HashMap<Region, Arc<ec2::Ec2Cloud>>>,
    resolved: watch::Receiver<Option<ResolvedCredentials>>,
}

impl Ec2Factory {
    /// Reads profiles and the environment, and prepares the credentials. No call is made: wrong credentials show at the first one.
    pub async fn connect(access: &AccessSettings) -> Self {
        Self::connect_with(access, None).await
    }

    /// The same with credentials that another process got with these settings: they are used as long as they are good.
    pub async fn connect_with(access: &AccessSettings, handed: Option<ResolvedCredentials>) -> Self {
        let base = loader(access).load().await;
        let base = match &access.profile {
            Some(profile) if access.access_key.is_none() => {
                let provider = of_profile(profile, access, &base);
                base.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
            }
            _ => base,
        };
        let sdk = match &access.assume_role {
            Some(role) => {
                let provider = assumed(role, &base).await;
                base.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
            }
            None => base,
        };
        let (told, resolved) = watch::channel(None);
        let sdk = match sdk.credentials_provider() {
            None => sdk,
            Some(then) => {
                let source = match handed {
                    Some(first) => SharedCredentialsProvider::new(HandedOver { first, then }),
                    None => then,
                };
                let observed = SharedCredentialsProvider::new(ObservedCredentials { source, told });
                sdk.into_builder().credentials_provider(observed).build()
            }
        };
        let custom_endpoint = access.custom_endpoint_ec2.clone();
        Self { sdk, custom_endpoint, clients: Mutex::default(), resolved }
    }

    pub(super) fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The endpoint that stands in for AWS's own, where there is one.
    fn endpoint(&self) -> Option<String> {
        self.custom_endpoint
            .clone()
            .or_else(|| std::env::var("AWS_ENDPOINT_URL_EC2").ok().filter(|url| !url.is_empty()))
            .or_else(|| self.sdk.endpoint_url().map(str::to_owned))
    }

    async fn find_sources_towards(&self, address: IpAddr) -> CloudResult<Vec<IpAddr>> {
        // A route over IPv6 shows our own address in any case, and `checkip` answers over IPv4.
        if !is_over_the_internet(address) || address.is_ipv6() {
            return local_address_to(SocketAddr::new(address, 22)).map(|ours| vec![ours]);
        }
        match self.endpoint() {
            // A name of one's own for EC2's endpoint says nothing about the way to an instance.
            Some(url) if !is_aws(&url) => {
                let mut all = vec![local_address_to(SocketAddr::new(address, 22))?];
                if let Ok(Ok(public)) = tokio::time::timeout(CHECKIP_BESIDE, checkip::public_address()).await {
                    all.push(public);
                }
                Ok(all)
            }
            _ => Ok(vec![checkip::public_address().await?]),
        }
    }

    async fn find_source(&self, private: bool) -> CloudResult<IpAddr> {
        match self.endpoint() {
            Some(url) if !is_aws(&url) => local_address_towards(&url),
            _ if private => {
                let region = self.sdk.region().map_or(REGION_OF_LAST_RESORT, |r| r.as_ref());
                local_address_towards(&format!("https://ec2.{region}.amazonaws.com"))
            }
            _ => checkip::public_address().await,
        }
    }
}

impl CloudFactory for Ec2Factory {
    fn region(&self, region: &Region) -> Arc<dyn Cloud> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region.clone()).or_insert_with(|| {
            Arc::new(ec2::Ec2Cloud::new(region.clone(), &self.sdk, self.custom_endpoint.as_deref()))
        });
        client.clone()
    }

    fn caller_account(&self) -> BoxFuture<'_, CloudResult<AccountId>> {
        ec2::caller_account(&self.sdk).boxed()
    }

    fn regions(&self) -> BoxFuture<'_, CloudResult<Vec<Region>>> {
        async move {
            let region = self.sdk.region().map_or(REGION_OF_LAST_RESORT, |r| r.as_ref());
            let region: Region =
                region.parse().unwrap_or_else(|_| REGION_OF_LAST_RESORT.parse().expect("a region's name"));
            ec2::regions(&ec2::Ec2Cloud::new(region, &self.sdk, self.custom_endpoint.as_deref())).await
        }
        .boxed()
    }

    fn resolved(&self) -> watch::Receiver<Option<ResolvedCredentials>> {
        self.resolved.clone()
    }

    fn source_address(&self, private: bool) -> BoxFuture<'_, CloudResult<IpAddr>> {
        self.find_source(private).boxed()
    }

    fn source_towards(&self, address: IpAddr) -> BoxFuture<'_, CloudResult<Vec<IpAddr>>> {
        self.find_sources_towards(address).boxed()
    }
}

/// HTTPS by rustls with ring, through the proxy that the environment names (as the SDK's own client would).
fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector =
            Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|c| c.sleep_impl()));
        connector.build()
    })
}

fn loader(access: &AccessSettings) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let mut retries = RetryConfig::standard();
    if let Some(attempts) = access.max_retries {
        retries = retries.with_max_attempts(attempts.max(1));
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        // Getting credentials is calls too, and their own limits hold; the cache's of 5 s would cut the first attempt short.
        .identity_cache(IdentityCache::lazy().load_timeout(OPERATION_TIMEOUT).build())
        .timeout_config(timeouts)
        .retry_config(retries);
    if let Some(region) = &access.region {
        loader = loader.region(aws_config::Region::new(region.to_string()));
    }
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(file) = &access.shared_credentials_file {
        loader = loader.profile_files(profile_files(file));
    }
    if let (Some(key), Some(secret)) = (&access.access_key, &access.secret_key) {
        let token = access.token.as_ref().map(|t| t.expose_secret().to_owned());
        let given = Credentials::new(key, secret.expose_secret(), token, None, "assay settings");
        loader = loader.credentials_provider(given);
    }
    loader
}

/// `access` with a region where nobody says one: `near`, which calls to no region in particular go to then. Keys of another partition are unknown in the one of last
/// resort, and some sources of credentials need one.
pub async fn with_region(access: &AccessSettings, near: Option<&Region>) -> AccessSettings {
    let said = access.region.is_some() || near.is_none() || loader(access).load().await.region().is_some();
    let region = if said { access.region.clone() } else { near.cloned() };
    AccessSettings { region, ..access.clone() }
}

fn profile_files(file: &Path) -> EnvConfigFiles {
    let files = EnvConfigFiles::builder().include_default_config_file(true);
    files.with_file(EnvConfigFileKind::Credentials, file).build()
}

/// The credentials of a profile that was named on purpose. The SDK's own chain would take those of the environment first: another account's, perhaps.
fn of_profile(profile: &str, access: &AccessSettings, base: &SdkConfig) -> ProfileFileCredentialsProvider {
    let region = base.region().cloned().unwrap_or_else(|| aws_config::Region::new(REGION_OF_LAST_RESORT));
    let config = ProviderConfig::without_region().with_http_client(http_client()).with_region(Some(region));
    let builder = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(profile);
    match &access.shared_credentials_file {
        Some(file) => builder.profile_files(profile_files(file)).build(),
        None => builder.build(),
    }
}

async fn assumed(role: &AssumeRole, base: &SdkConfig) -> AssumeRoleProvider {
    let mut builder = AssumeRoleProvider::builder(&role.role_arn)
        .session_name(role.session_name.as_deref().unwrap_or("assay"))
        .configure(base);
    if base.region().is_none() {
        builder = builder.region(aws_config::Region::new(REGION_OF_LAST_RESORT));
    }
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    if let Some(seconds) = role.duration_seconds {
        builder = builder.session_length(Duration::from_secs(seconds.into()));
    }
    builder.build().await
}

/// Whether a URL's host is AWS's own (VPC endpoints and regional names in every partition included).
fn is_aws(url: &str) -> bool {
    let host = host_and_port(url).map(|(host, _)| host.to_ascii_lowercase()).unwrap_or_default();
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu"].iter().any(|end| host.ends_with(end))
}

/// Host and port of an http or https URL.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let default_port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(v6) = authority.strip_prefix('[') {
        let (host, port) = v6.split_once(']')?;
        return Some((host.to_owned(), port.strip_prefix(':').and_then(|p| p.parse().ok()).unwrap_or(default_port)));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((authority.to_owned(), default_port)),
    }
}

/// Whether an address is one of the internet's: not private (RFC 1918, RFC 4193), shared (RFC 6598), for benchmarks (RFC 2544), of the link or the machine.
pub fn is_over_the_internet(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let benchmark = first == 198 && (18..20).contains(&second);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared || benchmark)
        }
        IpAddr::V6(v6) => {
            !(v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified())
        }
    }
}

fn local_address_to(peer: SocketAddr) -> CloudResult<IpAddr> {
    let failed = |message: String| CloudError {
        action: "SourceAddress",
        region: "-".to_owned(),
        kind: CloudErrorKind::Other,
        code: "<no route>".to_owned(),
        message,
    };
    match source_towards(peer) {
        Ok(address) if !address.is_unspecified() => Ok(address),
        Ok(address) => Err(failed(format!("no source address ({address})"))),
        Err(error) => Err(failed(format!("{peer}: {error}"))),
    }
}

/// This machine's address on the route to `url`'s host. Connecting a UDP socket chooses the route and sends nothing.
fn local_address_towards(url: &str) -> CloudResult<IpAddr> {
    let failed = |message: String| CloudError {
        action: "SourceAddress",
        region: "-".to_owned(),
        kind: CloudErrorKind::Other,
        code: "<no route>".to_owned(),
        message,
    };
    let (host, port) = host_and_port(url).ok_or_else(|| failed(format!("{url:?} is no URL of an endpoint")))?;
    let peers = (host.as_str(), port).to_socket_addrs().map_err(|e| failed(format!("{host}: {e}")))?;
    let mut last = format!("{host} has no address");
    for peer in peers {
        match source_towards(peer) {
            Ok(address) if !address.is_unspecified() => return Ok(address),
            Ok(address) => last = format!("no source address ({address})"),
            Err(error) => last = error.to_string(),
        }
    }
    Err(failed(last))
}

fn source_towards(peer: SocketAddr) -> std::io::Result<IpAddr> {
    let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::{ProvideCredentials, future};

    use super::*;

    #[test]
    fn an_endpoint_on_loopback_sees_us_from_loopback() {
        assert_eq!(local_address_towards("http://127.0.0.1:5000/x").expect("route"), IpAddr::from([127, 0, 0, 1]));
    }

    /// A token service, a credential process or a sign-on may take longer than the five seconds that the SDK gives all of them.
    #[tokio::test]
    async fn slow_credentials_are_waited_for() {
        #[derive(Debug)]
        struct Slow;
        impl ProvideCredentials for Slow {
            fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                future::ProvideCredentials::new(async {
                    tokio::time::sleep(Duration::from_millis(5500)).await;
                    Ok(Credentials::new("key", "secret", None, None, "a test"))
                })
            }
        }
        let loader = loader(&AccessSettings::default()).credentials_provider(Slow).endpoint_url("http://127.0.0.1:1");
        let sdk = loader.region(aws_config::Region::new("us-east-1")).load().await;
        let error = ec2::caller_account(&sdk).await.expect_err("nobody is there");
        assert_eq!(error.kind, CloudErrorKind::Unknown, "{error}");
        assert!(!error.to_string().contains("identity"), "{error}");
    }

    #[test]
    fn only_amazons_hosts_are_aws() {
        assert!(is_aws("https://ec2.eu-west-1.amazonaws.com"));
        assert!(is_aws("https://vpce-1-ec2.eu-west-1.vpce.amazonaws.com:443/"));
        assert!(!is_aws("http://127.0.0.1:5000"));
        assert!(!is_aws("http://amazonaws.com.evil.test"));
        assert!(!is_aws("not a url"));
    }

    #[test]
    fn private_addresses_are_not_reached_over_the_internet() {
        for (address, over) in [
            ("10.1.2.3", false),
            ("172.31.0.1", false),
            ("172.32.0.1", true),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("198.18.0.1", false),
            ("198.51.100.1", true),
            ("127.77.1.1", false),
            ("fd00::1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(is_over_the_internet(address.parse().expect("an address")), over, "{address}");
        }
    }

    /// An endpoint under a name of one's own: what it resolves to is not the way to the instance.
    #[tokio::test]
    async fn a_private_instance_sees_the_address_on_the_route_to_itself() {
        let access =
            AccessSettings { custom_endpoint_ec2: Some("http://192.0.2.1:1".to_owned()), ..Default::default() };
        let factory = Ec2Factory::connect(&access).await;
        let ours = factory.source_towards([127, 0, 0, 9].into()).await.expect("a route");
        assert_eq!(ours, [IpAddr::from([127, 0, 0, 1])]);
    }

    #[test]
    fn urls_are_split() {
        assert_eq!(host_and_port("http://u:p@[::1]:81/a"), Some(("::1".to_owned(), 81)));
        assert_eq!(host_and_port("https://a.b"), Some(("a.b".to_owned(), 443)));
    }
}
