//! The evidence's signature: what signs, readied before anything is launched, and the file beside the evidence. It owns that a key which cannot sign is
//! found out first; it refuses to verify.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

use crate::{
    cloud::{Cloud, CloudFactory, Ec2Factory},
    config::{AccessSettings, request::SignAs},
    model::{AmiRef, cause::chain},
    report,
    signing::{SignError, Signer, sign},
};

/// What signs evidence.
#[derive(Clone)]
pub struct EvidenceSigner {
    signer: Signer,
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
    pub async fn ready(key: &SignAs, access: &AccessSettings, amis: &[AmiRef]) -> Result<Self, String> {
        let key = match key {
            SignAs::Key(key) => return Ok(Self { signer: Signer::Key(key.clone()), cloud: None }),
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
        let signer = Signer::kms(key, &info).map_err(|error| error.to_string())?;
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
