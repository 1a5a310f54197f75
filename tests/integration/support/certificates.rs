//! An authority and certificates of its own, made in the test.

use std::{fs, path::PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
    pub ca: PathBuf,
}

/// The files of one certificate.
#[derive(Clone)]
pub(crate) struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "a test's authority");
        let key = KeyPair::generate().unwrap();
        let ca = folder.path().join("ca.pem");
        fs::write(&ca, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder, ca }
    }

    /// A certificate for `name` (a DNS name), valid now.
    pub(crate) fn server(&self, name: &str) -> Pair {
        self.issue("server", &[name], "server", ExtendedKeyUsagePurpose::ServerAuth, 4000)
    }

    pub(crate) fn client(&self, name: &str) -> Pair {
        self.issue(name, &[name], "some client", ExtendedKeyUsagePurpose::ClientAuth, 4000)
    }

    /// Only its common name says who it is.
    pub(crate) fn client_by_common_name(&self, name: &str) -> Pair {
        self.issue("common", &[], name, ExtendedKeyUsagePurpose::ClientAuth, 4000)
    }

    pub(crate) fn expired(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Pair {
        self.issue("expired", &[name], "x", usage, 2001)
    }

    fn issue(&self, file: &str, names: &[&str], common: &str, usage: ExtendedKeyUsagePurpose, until: i32) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = names.iter().map(|n| SanType::DnsName((*n).try_into().unwrap())).collect();
        params.extended_key_usages = vec![usage];
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| self.folder.path().join(format!("{file}.{end}"));
        let pair = Pair { cert: path("pem"), key: path("key") };
        fs::write(&pair.cert, certificate.pem()).unwrap();
        fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }
}
