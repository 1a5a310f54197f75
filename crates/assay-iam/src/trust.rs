//! Who may take a role: jobs of one project of a CI service, by the service's OpenID Connect tokens. It owns the claims that AWS can compare ("Available keys for
//! AWS OIDC federation" in the IAM User Guide: for other providers than GitHub `aud` and `sub` alone); it refuses wildcards for the project.
//!
//! CircleCI: <https://circleci.com/docs/openid-connect-tokens/>, the `sub` of a V2 token. GitHub: "OpenID Connect reference" of GitHub Actions. GitLab: "Connect to
//! cloud services" of GitLab CI/CD.

use serde_json::{Value, json};

use assay_model::AccountId;

/// The service that runs the jobs, and which project's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CiProject {
    /// CircleCI.
    CircleCi {
        /// The organisation's id, a UUID: the token's audience.
        org_id: String,
        /// The project's id, a UUID.
        project_id: String,
        /// The repository as the token names it, `github.com/acme/images`: a fork's jobs name the fork.
        vcs_origin: String,
    },
    /// GitHub Actions.
    GitHub {
        /// `acme/images`.
        repository: String,
    },
    /// GitLab CI/CD.
    GitLab {
        /// `gitlab.com`, or one's own.
        host: String,
        /// `acme/images`.
        project: String,
    },
}

/// Who may take a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPolicy {
    /// Whose jobs.
    pub ci: CiProject,
    /// Only jobs that build this branch; absent: any.
    pub branch: Option<String>,
}

impl CiProject {
    /// The issuer without `https://`, as the identity provider is named in the account.
    pub fn provider(&self) -> String {
        match self {
            Self::CircleCi { org_id, .. } => format!("oidc.circleci.com/org/{org_id}"),
            Self::GitHub { .. } => "token.actions.githubusercontent.com".to_owned(),
            Self::GitLab { host, .. } => host.clone(),
        }
    }

    fn audience(&self) -> String {
        match self {
            Self::CircleCi { org_id, .. } => org_id.clone(),
            Self::GitHub { .. } => "sts.amazonaws.com".to_owned(),
            Self::GitLab { host, .. } => format!("https://{host}"),
        }
    }

    fn subject(&self, branch: Option<&str>) -> String {
        match self {
            Self::CircleCi { org_id, project_id, vcs_origin } => {
                let reference = branch.map_or_else(|| "*".to_owned(), |branch| format!("refs/heads/{branch}"));
                format!("org/{org_id}/project/{project_id}/user/*/vcs-origin/{vcs_origin}/vcs-ref/{reference}")
            }
            Self::GitHub { repository } => match branch {
                Some(branch) => format!("repo:{repository}:ref:refs/heads/{branch}"),
                None => format!("repo:{repository}:*"),
            },
            Self::GitLab { project, .. } => match branch {
                Some(branch) => format!("project_path:{project}:ref_type:branch:ref:{branch}"),
                None => format!("project_path:{project}:*"),
            },
        }
    }
}

impl TrustPolicy {
    /// The role's trust policy, for the identity provider of this account.
    pub fn json(&self, partition: &str, account: &AccountId) -> Value {
        let provider = format!("arn:{partition}:iam::{}:oidc-provider/{}", account.as_str(), self.ci.provider());
        self.json_for(&json!(provider))
    }

    fn condition(&self, issuer: &str) -> Value {
        let mut condition = json!({
            "StringEquals": { format!("{issuer}:aud"): self.ci.audience() },
            "StringLike": { format!("{issuer}:sub"): self.ci.subject(self.branch.as_deref()) },
        });
        if let CiProject::CircleCi { .. } = self.ci {
            // IAM's `*` matches slashes too, and git takes a branch called `x/vcs-origin/…/vcs-ref/refs/heads/main`.
            condition["StringNotLike"] = json!({ format!("{issuer}:sub"): "*/vcs-origin/*/vcs-origin/*" });
        }
        condition
    }

    /// The same for any way of writing the provider's ARN.
    pub(super) fn json_for(&self, provider: &Value) -> Value {
        let issuer = self.ci.provider();
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "Ci",
                "Effect": "Allow",
                "Principal": { "Federated": provider },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": self.condition(&issuer),
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(ci: CiProject, branch: Option<&str>) -> Value {
        let trust = TrustPolicy { ci, branch: branch.map(str::to_owned) };
        trust.json("aws", &"123456789012".parse().unwrap())
    }

    #[test]
    fn circleci_is_told_apart_by_organisation_project_origin_and_branch() {
        let ci = CiProject::CircleCi {
            org_id: "0aa-org".to_owned(),
            project_id: "0bb-project".to_owned(),
            vcs_origin: "github.com/acme/images".to_owned(),
        };
        let statement = &document(ci, Some("main"))["Statement"][0];
        assert_eq!(
            statement["Principal"]["Federated"],
            "arn:aws:iam::123456789012:oidc-provider/oidc.circleci.com/org/0aa-org"
        );
        assert_eq!(statement["Condition"]["StringEquals"]["oidc.circleci.com/org/0aa-org:aud"], "0aa-org");
        assert_eq!(
            statement["Condition"]["StringLike"]["oidc.circleci.com/org/0aa-org:sub"],
            "org/0aa-org/project/0bb-project/user/*/vcs-origin/github.com/acme/images/vcs-ref/refs/heads/main"
        );
        // A branch that is called like the end of main's subject must not pass for main.
        assert_eq!(
            statement["Condition"]["StringNotLike"]["oidc.circleci.com/org/0aa-org:sub"],
            "*/vcs-origin/*/vcs-origin/*"
        );
    }

    #[test]
    fn github_and_gitlab_name_the_branch_in_their_own_ways() {
        let github = document(CiProject::GitHub { repository: "acme/images".to_owned() }, Some("main"));
        let conditions = &github["Statement"][0]["Condition"];
        assert_eq!(conditions["StringEquals"]["token.actions.githubusercontent.com:aud"], "sts.amazonaws.com");
        assert_eq!(
            conditions["StringLike"]["token.actions.githubusercontent.com:sub"],
            "repo:acme/images:ref:refs/heads/main"
        );
        let gitlab = CiProject::GitLab { host: "gitlab.com".to_owned(), project: "acme/images".to_owned() };
        let conditions = &document(gitlab, None)["Statement"][0]["Condition"];
        assert_eq!(conditions["StringEquals"]["gitlab.com:aud"], "https://gitlab.com");
        assert_eq!(conditions["StringLike"]["gitlab.com:sub"], "project_path:acme/images:*");
    }
}
