//! The way to a prober elsewhere: TCP, TLS with certificates on both sides, and the questions that must be answered before anything is launched for it. It
//! owns the words for each way in which this fails; it never retries, and never goes on without TLS.

use std::{path::Path, time::Duration};

use tokio::time::timeout;
use tonic::{
    Code, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use x509_parser::pem::Pem;
use zeroize::Zeroizing;

use super::{
    client::{ProbeError, told},
    proto::{self, prober_client::ProberClient},
    serve::{CONNECTION_WINDOW, STREAM_WINDOW, VERSION},
};
use assay_model::RemoteProber;
use assay_model::cause::chain;

/// The service whose health is asked for.
pub(super) const SERVICE: &str = "assay.prober.v1.Prober";
/// The longest that connection, TLS or one short answer may take.
const PROMPT: Duration = Duration::from_secs(15);
/// How often a silent connection is tried, and how long the answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(20));

/// `host:port`, for messages.
pub(super) fn shown(remote: &RemoteProber) -> String {
    if remote.host.contains(':') {
        format!("[{}]:{}", remote.host, remote.port)
    } else {
        format!("{}:{}", remote.host, remote.port)
    }
}

/// A prober elsewhere that serves and is this very version.
pub(super) struct RemoteService {
    pub(super) channel: Channel,
    /// What cannot be confined there.
    pub(super) unconfined: Vec<String>,
    /// How many targets it takes at once, where it says so.
    pub(super) targets: Option<usize>,
}

/// Connects, and asks whether it serves and is this very version.
pub(super) async fn connect(remote: &RemoteProber) -> Result<RemoteService, ProbeError> {
    let address = shown(remote);
    let failed = |why: String| ProbeError::Remote { address: address.clone(), why };
    let endpoint = endpoint(remote).map_err(failed)?;
    let channel = match timeout(PROMPT, endpoint.connect()).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => return Err(failed(sentence(&chain(&error), remote))),
        Err(_) => return Err(failed(late())),
    };
    let health = HealthCheckRequest { service: SERVICE.to_owned() };
    let health = answer(HealthClient::new(channel.clone()).check(health), remote).await.map_err(failed)?;
    if health.status() != ServingStatus::Serving {
        return Err(failed("takes no new work: it is about to end, or says itself that it does not serve".into()));
    }
    let asked = ProberClient::new(channel.clone());
    let info = answer(asked.clone().get_info(proto::GetInfoRequest {}), remote).await.map_err(failed)?;
    if info.version != VERSION {
        let theirs = told(&info.version);
        return Err(failed(format!("is assay {theirs}, and this is {VERSION}: both must be the same version")));
    }
    let targets = usize::try_from(info.targets).ok().filter(|targets| *targets > 0);
    Ok(RemoteService { channel, unconfined: info.unconfined.iter().map(|line| told(line)).collect(), targets })
}

fn endpoint(remote: &RemoteProber) -> Result<Endpoint, String> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| format!("cannot be asked: {} cannot be read: {error}", path.display()))
    };
    let (ca, cert, key) = (read(&remote.ca)?, read(&remote.cert)?, Zeroizing::new(read(&remote.key)?));
    // The first is the client's own; what follows is its chain.
    usable(&cert, &remote.cert, 1)?;
    usable(&ca, &remote.ca, usize::MAX)?;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&ca))
        .identity(Identity::from_pem(&cert, &*key))
        .domain_name(&remote.host);
    let cannot = |error: tonic::transport::Error| format!("cannot be asked: {}", chain(&error));
    Endpoint::from_shared(format!("https://{}", shown(remote)))
        .map_err(cannot)?
        .connect_timeout(PROMPT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true)
        .tls_config(tls)
        .map_err(|error| format!("cannot be asked with {}: {}", remote.cert.display(), chain(&error)))
}

/// Whether one of a file's `first` certificates is valid now: what the other side says of one that is not, does not always arrive. Other things in the file
/// (a private key) are passed over; while authorities are changed the old one stays in the file beside the new one.
fn usable(pem: &[u8], path: &Path, first: usize) -> Result<(), String> {
    let path = path.display();
    let mut reason = None;
    let certificates = Pem::iter_from_buffer(pem).filter_map(Result::ok).filter(|block| block.label == "CERTIFICATE");
    for block in certificates.take(first) {
        let Ok(certificate) = block.parse_x509() else { continue };
        let (now, valid) = (x509_parser::time::ASN1Time::now(), certificate.validity());
        if now > valid.not_after {
            reason = Some(format!("cannot be asked: the certificate {path} expired on {}", valid.not_after));
        } else if now < valid.not_before {
            reason = Some(format!("cannot be asked: the certificate {path} is valid from {}", valid.not_before));
        } else {
            return Ok(());
        }
    }
    Err(reason.unwrap_or_else(|| format!("cannot be asked: {path} holds no certificate that can be read")))
}

async fn answer<T>(
    asked: impl Future<Output = Result<tonic::Response<T>, Status>>,
    remote: &RemoteProber,
) -> Result<T, String> {
    match timeout(PROMPT, asked).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(refusal(&status, remote)),
        Err(_) => Err(late()),
    }
}

fn late() -> String {
    format!("does not answer within {} s; does a route and a security group lead there?", PROMPT.as_secs())
}

fn refusal(status: &Status, remote: &RemoteProber) -> String {
    match status.code() {
        Code::PermissionDenied | Code::ResourceExhausted => format!("refuses: {}", told(status.message())),
        Code::Unimplemented => "is no `assay serve`: it does not know the question".into(),
        _ => sentence(&chain(status), remote),
    }
}

/// What a broken connection means. rustls names its errors and the other side's alerts (RFC 8446, 6.2) by their own words.
fn sentence(error: &str, remote: &RemoteProber) -> String {
    let has = |words: &[&str]| words.iter().any(|word| error.contains(word));
    let (ca, cert) = (remote.ca.display(), remote.cert.display());
    if has(&["alert: CertificateRequired"]) {
        "wants a client certificate and got none".into()
    } else if has(&["alert: CertificateExpired"]) {
        format!("says that the certificate {cert} has expired")
    } else if has(&["alert: "]) {
        format!("does not take the certificate {cert}: not of the authority that it trusts? ({})", told(error))
    } else if has(&["NotValidForName", "not valid for name"]) {
        format!("shows a certificate for another name than {}", remote.host)
    } else if has(&["certificate: Expired", "certificate expired"]) {
        "shows a certificate that has expired".into()
    } else if has(&["UnknownIssuer", "BadSignature"]) {
        format!("shows a certificate that {ca} did not sign")
    } else if has(&["invalid peer certificate"]) {
        format!("shows a certificate that cannot be verified: {}", told(error))
    } else if has(&["lookup address", "dns error"]) {
        "has no address: the name cannot be resolved".into()
    } else if has(&["Connection refused"]) {
        "cannot be reached: connection refused; does `assay serve` run there?".into()
    } else if has(&[
        "onnection reset",
        "roken pipe",
        "onnection closed",
        "onnection error",
        "UnexpectedEof",
        "unexpected end",
    ]) {
        format!(
            "ended the connection: it is no `assay serve`, or it does not take the certificate {cert} ({})",
            told(error)
        )
    } else {
        format!("cannot be asked: {}", told(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-signed certificate that is valid from `from` to `to` (years), PEM.
    fn certificate(from: i32, to: i32) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("signed").pem()
    }

    #[test]
    fn an_old_authority_beside_a_new_one_is_no_reason_to_refuse() {
        let (old, new, later) = (certificate(2001, 2002), certificate(2001, 4000), certificate(3999, 4000));
        let ca = |pem: &str| usable(pem.as_bytes(), Path::new("ca.pem"), usize::MAX);
        assert_eq!(ca(&(old.clone() + &new)), Ok(()));
        assert!(ca(&old).expect_err("expired").contains("expired on"));
        assert!(ca(&later).expect_err("too early").contains("valid from"));
        assert!(ca("").expect_err("empty").contains("no certificate"));
        let client = |pem: &str| usable(pem.as_bytes(), Path::new("client.pem"), 1);
        let key = rcgen::KeyPair::generate().expect("a key").serialize_pem();
        assert_eq!(client(&(key + &new)), Ok(()), "key and certificate in one file");
        assert!(client(&(old + &new)).expect_err("its own has expired").contains("expired on"));
    }

    #[test]
    fn each_failure_has_its_words() {
        let remote = RemoteProber {
            host: "p.example".into(),
            port: 7443,
            ca: "ca.pem".into(),
            cert: "client.pem".into(),
            key: "client.key".into(),
        };
        for (error, says) in [
            ("transport error: received fatal alert: CertificateRequired", "got none"),
            ("received fatal alert: UnknownCA", "client.pem"),
            ("invalid peer certificate: UnknownIssuer", "ca.pem did not sign"),
            (
                "invalid peer certificate: certificate not valid for name \"p.example\"; x",
                "another name than p.example",
            ),
            ("invalid peer certificate: certificate expired: x", "has expired"),
            ("tcp connect error: Connection refused (os error 111)", "does `assay serve` run"),
            ("transport error: Connection reset by peer", "ended the connection"),
            ("something\x1b[31m else", "something\\x1b"),
        ] {
            assert!(sentence(error, &remote).contains(says), "{error}: {}", sentence(error, &remote));
        }
        assert_eq!(shown(&RemoteProber { host: "2001:db8::1".into(), ..remote }), "[2001:db8::1]:7443");
    }
}
