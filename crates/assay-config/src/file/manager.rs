//! What assay.hcl says to the image manager alone: the protected branch, promotion, building, distribution, retention, projections. It owns
//! the values and their defaults; `read_manager` reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use assay_model::{AccountId, Architecture, ImageState, Region};

/// The file of trusted keys where assay.hcl names none, from its folder.
pub const ALLOWED_SIGNERS: &str = "images/allowed_signers";

/// `git { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitDecl {
    /// `branch`: the protected branch, whose lock files say what is gold.
    pub branch: String,
    /// `remote`: a name or a URL; absent: the branch's own (`branch.<name>.remote`), else `origin`.
    pub remote: Option<String>,
}

impl Default for GitDecl {
    fn default() -> Self {
        Self { branch: "main".to_owned(), remote: None }
    }
}

/// `promotion { … }`: what evidence must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionDecl {
    /// `evidence_max_age`: older evidence promotes nothing.
    pub evidence_max_age: Duration,
    /// `allowed_signers`: the file of trusted keys (ssh-keygen(1), ALLOWED SIGNERS), from the folder of assay.hcl; it is read from the
    /// protected branch.
    pub allowed_signers: Option<PathBuf>,
    /// `require_signature`: evidence of the same pipeline is not enough.
    pub require_signature: bool,
    /// `require_signed_candidate`: a candidate file that no trusted key signed promotes nothing.
    pub require_signed_candidate: bool,
    /// `require_pinned_host_key`: evidence over a connection whose host key nobody knew promotes nothing.
    pub require_pinned_host_key: bool,
}

impl Default for PromotionDecl {
    fn default() -> Self {
        Self {
            evidence_max_age: Duration::from_secs(24 * 3600),
            allowed_signers: None,
            require_signature: false,
            require_signed_candidate: false,
            require_pinned_host_key: true,
        }
    }
}

/// `build { … }`: how Packer builds an image; the words are Packer's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildDecl {
    /// `template`: a file or folder, from the folder of assay.hcl.
    pub template: PathBuf,
    /// `only`: `packer build -only`.
    pub only: Vec<String>,
    /// `except`: `packer build -except`.
    pub except: Vec<String>,
    /// `var_files`: `packer build -var-file`, from the folder of assay.hcl.
    pub var_files: Vec<PathBuf>,
    /// `variables`: `packer build -var`.
    pub variables: BTreeMap<String, String>,
}

impl BuildDecl {
    /// All that the block says, the same text however it is written: part of what an image is made from. Order counts only where it does for Packer, whose later variable files
    /// win.
    pub fn canonical_text(&self) -> String {
        let path = |path: &Path| path.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>();
        let shown = |file: &PathBuf| path(file).display().to_string();
        let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
        serde_json::json!({
            "template": shown(&self.template),
            "only": set(&self.only),
            "except": set(&self.except),
            "var_files": self.var_files.iter().map(shown).collect::<Vec<_>>(),
            "variables": self.variables,
        })
        .to_string()
    }
}

/// `distribution { … }`: where a gold AMI goes once it passed; the words are packer-plugin-amazon's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DistributionDecl {
    /// `ami_regions`: further regions that get a copy.
    pub ami_regions: Vec<Region>,
    /// `ami_users`: accounts that may launch it.
    pub ami_users: Vec<AccountId>,
    /// `ami_org_arns`: organisations that may launch it.
    pub ami_org_arns: Vec<String>,
    /// `ami_ou_arns`: organisational units that may launch it.
    pub ami_ou_arns: Vec<String>,
    /// `ssm_parameter`: the parameter that holds the gold AMI's id in each region; `{architecture}` in it stands for the AMI's.
    pub ssm_parameter: Option<String>,
    /// `kms_key_id`: encrypts copies.
    pub kms_key_id: Option<String>,
}

/// How much is kept when old AMIs are pruned; names as in packer-plugin-amazon-ami-management.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeepRule {
    /// `keep_releases`: at least this many of the newest.
    pub keep_releases: Option<u32>,
    /// `keep_days`: all that are younger.
    pub keep_days: Option<u32>,
}

/// `retention { … }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionDecl {
    /// What holds for every state.
    pub all: KeepRule,
    /// `state "NAME" { … }`: what holds for one; what it leaves out is `all`'s.
    pub states: BTreeMap<ImageState, KeepRule>,
}

impl RetentionDecl {
    /// What holds for AMIs in `state`.
    pub fn of(&self, state: ImageState) -> KeepRule {
        let own = self.states.get(&state).copied().unwrap_or_default();
        KeepRule {
            keep_releases: own.keep_releases.or(self.all.keep_releases),
            keep_days: own.keep_days.or(self.all.keep_days),
        }
    }
}

/// A file outside `images/` into which the gold AMI's ids are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionDecl {
    /// The block's label: a path from the file's folder.
    pub path: PathBuf,
    /// 1-based line of the block in assay.hcl.
    pub line: usize,
    /// `variable`: the name to set in it.
    pub variable: String,
    /// `region`: only the AMI of this region.
    pub region: Option<Region>,
    /// `architecture`: only AMIs of this one.
    pub architecture: Option<Architecture>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_has_one_text_however_it_is_written_and_another_for_each_change() {
        let build = BuildDecl {
            template: "packer/base.pkr.hcl".into(),
            only: vec!["amazon-ebs.b".to_owned(), "amazon-ebs.a".to_owned()],
            except: Vec::new(),
            var_files: vec!["a.pkrvars.hcl".into(), "b.pkrvars.hcl".into()],
            variables: [("nginx".to_owned(), "1.27.4".to_owned())].into(),
        };
        let same = BuildDecl {
            template: "./packer//base.pkr.hcl".into(),
            only: build.only.iter().rev().cloned().collect(),
            ..build.clone()
        };
        assert_eq!(same.canonical_text(), build.canonical_text());
        let others = [
            BuildDecl { template: "packer".into(), ..build.clone() },
            BuildDecl { only: vec!["amazon-ebs.a".to_owned()], ..build.clone() },
            BuildDecl { except: vec!["amazon-ebs.c".to_owned()], ..build.clone() },
            BuildDecl { var_files: build.var_files.iter().rev().cloned().collect(), ..build.clone() },
            BuildDecl { variables: [("nginx".to_owned(), "1.27.5".to_owned())].into(), ..build.clone() },
        ];
        for other in others {
            assert_ne!(other.canonical_text(), build.canonical_text());
        }
    }
}
