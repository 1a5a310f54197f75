//! The evidence's signature: what signs, readied before anything is launched, and the file beside the evidence. It owns that a key which cannot sign is
//! found out first; it refuses to verify.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

use crate::report;
use assay_aws::cloud::{Cloud, CloudFactory, Ec2Factory};
use assay_config::{AccessSettings, request::SignAs};
use assay_model::{AmiRef, cause::chain};
use assay_signing::{SignError, SigningMethod, sign};

/// What signs evidence.
#[derive(Clone)]
pub(crate) struct EvidenceSigner {
    signer: SigningMethod,
    /// Who is asked for signatures by KMS.
    cloud: Option<Arc<dyn Cloud>>,
}

impl fmt::Debug for EvidenceSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.signer.fmt(f)
    }
}

impl EvidenceSigner {
    /// Readies a key. A KMS key is looked for in its ARN's region, else in that of `access`, else in that of the first AMI; its public half is fetched
    /// here, so that a key which is not there, or not of the right kind, costs no instance. Fails with a sentence.
    pub(crate) async fn ready(key: &SignAs, access: &AccessSettings, amis: &[AmiRef]) -> Result<Self, String> {
        let key = match key {
            SignAs::Key(key) => return Ok(Self { signer: SigningMethod::Key(key.clone()), cloud: None }),
            SignAs::Kms(key) => key,
        };
        let region = access.region.clone().or_else(|| amis.first().map(|ami| ami.region.clone()));
        let region = region.ok_or("no region is known in which the KMS key is; give --region, or the key's ARN")?;
        let cloud = Ec2Factory::connect(access).await.region(&region);
        Self::with_kms(key, cloud).await
    }

    /// [`EvidenceSigner::ready`] with a key in KMS, and the cloud given.
    async fn with_kms(key: &str, cloud: Arc<dyn Cloud>) -> Result<Self, String> {
        let info = cloud.kms_public_key(key).await.map_err(|error| format!("the KMS key {key}: {error}"))?;
        let signer = SigningMethod::kms(key, &info).map_err(|error| error.to_string())?;
        Ok(Self { signer, cloud: Some(cloud) })
    }

    /// The armored signature over a file's bytes.
    async fn signature(&self, evidence: &[u8]) -> Result<String, SignError> {
        let ask = async |key: &str, message: &[u8]| {
            let Some(cloud) = &self.cloud else { return Err("there is no connection to it".to_owned()) };
            let digest: [u8; 32] = Sha256::digest(message).into();
            cloud.kms_sign(key, &digest).await.map_err(|error| error.to_string())
        };
        sign(evidence, &self.signer, ask).await
    }

    /// Signs the file `evidence` as it is on the disk, into `<evidence>.sig`. Fails with a sentence.
    pub(super) async fn sign_file(&self, evidence: &Path) -> Result<PathBuf, String> {
        let unsigned = |why: String| format!("{} was not signed: {why}", evidence.display());
        let bytes = std::fs::read(evidence).map_err(|error| unsigned(error.to_string()))?;
        let text = self.signature(&bytes).await.map_err(|error| unsigned(chain(&error)))?;
        let mut path = OsString::from(evidence);
        path.push(".sig");
        let path = PathBuf::from(path);
        report::write_aside(&path, text.as_bytes()).map_err(|error| unsigned(error.to_string()))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use assay_aws::cloud::fake::FakeCloud;
    use assay_model::Region;
    use assay_signing::{AllowedSigners, verify};

    fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
        let made = Command::new("openssl").args(arguments).current_dir(folder).output();
        let made = made.expect("openssl (package openssl)");
        assert!(made.status.success(), "{made:?}");
        made.stdout
    }

    #[tokio::test]
    async fn a_key_in_kms_signs_the_file_that_is_on_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().to_owned();
        openssl(&at, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem"]);
        let public = openssl(&at, &["ec", "-in", "key.pem", "-pubout", "-outform", "DER"]);
        let region: Region = "us-east-1".parse().expect("a region");
        let fake = FakeCloud::new();
        let signing = at.clone();
        fake.holdings(&region, |held| {
            held.add_key("alias/evidence", public, move |digest| {
                std::fs::write(signing.join("digest"), digest).expect("written");
                openssl(&signing, &["pkeyutl", "-sign", "-inkey", "key.pem", "-in", "digest"])
            });
        });
        let cloud = fake.region(&region);
        let missing = EvidenceSigner::with_kms("alias/nosuch", cloud.clone()).await.expect_err("no such key");
        assert!(missing.contains("alias/nosuch"), "{missing}");

        let signer = EvidenceSigner::with_kms("alias/evidence", cloud).await.expect("a key");
        let evidence = at.join("evidence.json");
        let missing = signer.sign_file(&evidence).await.expect_err("no file");
        assert!(missing.contains("was not signed"), "{missing}");
        std::fs::write(&evidence, b"{}\n").expect("written");
        let path = signer.sign_file(&evidence).await.expect("signed");
        assert_eq!(path, at.join("evidence.json.sig"));
        let line = format!("kms {}", signer.signer.public_line().expect("a line"));
        let allowed = AllowedSigners::parse(&line, "f", &jiff::tz::TimeZone::UTC).expect("signers");
        let text = std::fs::read_to_string(path).expect("a signature");
        let by = verify(b"{}\n", &text, &allowed, jiff::Timestamp::now()).expect("verified");
        assert_eq!(by.principal, "kms");
    }
}
