//! Credentials as they were got, for a process that may have to work when they can no longer be got: the source may be a file that goes with a job, or ask a person. It owns
//! which credentials are used there, and when; it refuses to store any.

use std::time::{Duration, SystemTime};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

/// Credentials that end within this are not begun with.
const MARGIN: Duration = Duration::from_secs(30);

/// What a source of credentials gave.
#[derive(Debug, Clone)]
pub struct ResolvedCredentials {
    /// The access key's id, which is no secret.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: SecretString,
    /// The session token.
    pub token: Option<SecretString>,
    /// When they end, seconds since the epoch; absent where they do not, or nobody says.
    pub expires_at: Option<i64>,
}

impl ResolvedCredentials {
    fn of(credentials: &Credentials) -> Self {
        let since_epoch = credentials.expiry().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self {
            access_key: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned().into(),
            token: credentials.session_token().map(|token| token.to_owned().into()),
            expires_at: since_epoch.and_then(|age| i64::try_from(age.as_secs()).ok()),
        }
    }

    fn expiry(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.expires_at?).unwrap_or(0);
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn is_good_at(&self, now: SystemTime) -> bool {
        self.expiry().is_none_or(|end| end > now + MARGIN)
    }

    fn to_sdk(&self) -> Credentials {
        let token = self.token.as_ref().map(|token| token.expose_secret().to_owned());
        Credentials::new(&self.access_key, self.secret_key.expose_secret(), token, self.expiry(), "handed over")
    }
}

/// Tells what its source gives, each time.
#[derive(Debug)]
pub(super) struct ObservedCredentials {
    pub(super) source: SharedCredentialsProvider,
    pub(super) told: watch::Sender<Option<ResolvedCredentials>>,
}

impl ProvideCredentials for ObservedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let found = self.source.provide_credentials().await?;
            self.told.send_replace(Some(ResolvedCredentials::of(&found)));
            Ok(found)
        })
    }
}

/// Those that were handed over, as long as they are good, then those of the source.
#[derive(Debug)]
pub(super) struct HandedOver {
    pub(super) first: ResolvedCredentials,
    pub(super) then: SharedCredentialsProvider,
}

impl ProvideCredentials for HandedOver {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            if self.first.is_good_at(SystemTime::now()) {
                return Ok(self.first.to_sdk());
            }
            self.then.provide_credentials().await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(expires_in: Option<i64>) -> ResolvedCredentials {
        let now = jiff::Timestamp::now().as_second();
        ResolvedCredentials {
            access_key: "handed".to_owned(),
            secret_key: "s".to_owned().into(),
            token: Some("t".to_owned().into()),
            expires_at: expires_in.map(|seconds| now + seconds),
        }
    }

    #[tokio::test]
    async fn what_was_handed_over_is_used_until_it_ends() {
        let source = || SharedCredentialsProvider::new(Credentials::new("source", "s", None, None, "a test"));
        for (expires_in, used) in [(None, "handed"), (Some(600), "handed"), (Some(10), "source"), (Some(-60), "source")]
        {
            let provider = HandedOver { first: resolved(expires_in), then: source() };
            let found = provider.provide_credentials().await.expect("credentials");
            assert_eq!(found.access_key_id(), used, "{expires_in:?}");
        }
    }

    #[tokio::test]
    async fn what_a_source_gives_is_told_whole() {
        let (told, seen) = watch::channel(None);
        let given = resolved(Some(600)).to_sdk();
        let observed = ObservedCredentials { source: SharedCredentialsProvider::new(given), told };
        observed.provide_credentials().await.expect("credentials");
        let seen = seen.borrow().clone().expect("told");
        assert_eq!((seen.access_key.as_str(), seen.expires_at), ("handed", resolved(Some(600)).expires_at));
        assert_eq!(seen.token.expect("a token").expose_secret(), "t");
    }
}
