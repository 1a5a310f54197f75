//! Our public address, asked of `https://checkip.amazonaws.com`, the service that packer-plugin-amazon asks for
//! `temporary_security_group_source_public_ip`. It owns that one request; it trusts the answer no further than that it must be an address.

use std::{net::IpAddr, time::Duration};

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{http::HttpConnector, orchestrator::HttpRequest};
use aws_smithy_types::byte_stream::ByteStream;

use super::{CloudError, CloudErrorKind, CloudResult, plain};
use assay_model::cause::chain;

const URL: &str = "https://checkip.amazonaws.com";
const PATIENCE: Duration = Duration::from_secs(10);
/// An IPv6 address is 39 characters; anything much longer is some portal's page.
const LONGEST_ANSWER: usize = 64;

/// The address that AWS sees us from. Fails when nothing answers in ten seconds, or with anything but an address.
pub(super) async fn public_address() -> CloudResult<IpAddr> {
    let answer = tokio::time::timeout(PATIENCE, ask()).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    answer.map_err(|message| CloudError {
        action: "CheckIp",
        region: "-".to_owned(),
        kind: CloudErrorKind::Other,
        code: "<no address>".to_owned(),
        message: format!("{URL}: {}", plain(&message)),
    })
}

async fn ask() -> Result<IpAddr, String> {
    let connector =
        Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).proxy_config(ProxyConfig::from_env());
    let request = HttpRequest::get(URL).map_err(|e| e.to_string())?;
    let response = connector.build().call(request).await.map_err(|e| chain(&e))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(format!("HTTP status {status}"));
    }
    let mut body = ByteStream::new(response.into_body());
    let mut text = Vec::new();
    while let Some(chunk) = body.next().await {
        text.extend_from_slice(&chunk.map_err(|e| e.to_string())?);
        if text.len() > LONGEST_ANSWER {
            return Err("the answer is no address".to_owned());
        }
    }
    parse(&text)
}

fn parse(body: &[u8]) -> Result<IpAddr, String> {
    let address: IpAddr = std::str::from_utf8(body)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| "the answer is no address".to_owned())?;
    if address.is_unspecified() { Err(format!("the answer is {address}")) } else { Ok(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_is_an_answer() {
        assert_eq!(parse(b"192.0.2.7\n"), Ok(IpAddr::from([192, 0, 2, 7])));
        for bad in [&b"0.0.0.0"[..], b"<html>", b"", b"\xff"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
