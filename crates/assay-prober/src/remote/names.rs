//! Who a client is: the names that its certificate holds as subject alternative names. It owns that the common name never counts (RFC 9525, 2: it is free text).

use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// The clients that a server takes.
#[derive(Debug, Clone)]
pub struct AllowedClients(Vec<String>);

impl AllowedClients {
    /// `allowed`: DNS names or URIs, at least one. DNS names in any case.
    pub fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().map(|name| folded(name)).collect())
    }

    /// The allowed name that a certificate (DER) holds; the error says what it holds instead.
    pub fn admit(&self, certificate: &[u8]) -> Result<String, String> {
        let names = names(certificate)?;
        if let Some(name) = names.iter().find(|name| self.0.contains(name)) {
            return Ok(name.clone());
        }
        if names.is_empty() {
            return Err("the client's certificate holds no DNS name or URI (subject alternative name); its common name does not count".into());
        }
        let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
        Err(format!("the client {} is not on the list (--allow-client)", shown.join(", ")))
    }
}

fn names(certificate: &[u8]) -> Result<Vec<String>, String> {
    let unreadable = || "the client's certificate cannot be read".to_owned();
    let (_, certificate) = parse_x509_certificate(certificate).map_err(|_| unreadable())?;
    let Some(alternatives) = certificate.subject_alternative_name().map_err(|_| unreadable())? else {
        return Ok(Vec::new());
    };
    let plain = |text: &&str| !text.is_empty() && text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic());
    Ok(alternatives
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(text) | GeneralName::URI(text) => Some(*text),
            _ => None,
        })
        .filter(plain)
        .map(folded)
        .collect())
}

/// DNS names in small letters; URIs as they are.
fn folded(name: &str) -> String {
    if name.contains("://") { name.to_owned() } else { name.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common_name: &str, alternatives: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = alternatives;
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().expect("a name"))
    }

    #[test]
    fn dns_names_and_uris_count_and_common_names_do_not() {
        let clients = AllowedClients::new(&["CI.example".into(), "spiffe://example/ci".into()]);
        let uri = SanType::URI("spiffe://example/ci".try_into().expect("a URI"));
        assert_eq!(clients.admit(&certificate("x", vec![dns("ci.Example")])).as_deref(), Ok("ci.example"));
        assert_eq!(clients.admit(&certificate("x", vec![dns("other"), uri])).as_deref(), Ok("spiffe://example/ci"));
        let refused = clients.admit(&certificate("ci.example", vec![dns("evil.example")])).expect_err("refused");
        assert!(refused.contains("evil.example") && refused.contains("--allow-client"), "{refused}");
        let refused = clients.admit(&certificate("ci.example", Vec::new())).expect_err("refused");
        assert!(refused.contains("common name does not count"), "{refused}");
        assert!(clients.admit(&certificate("x", vec![dns("*.example")])).is_err(), "no wildcards");
        assert!(clients.admit(&certificate("x", vec![dns("a.ci.example")])).is_err());
        assert!(clients.admit(b"nonsense").is_err());
    }
}
