//! Whether what is launched could be ended again, asked before anything is made. It owns which answers forbid a launch: only a clear no. It creates nothing.
//!
//! EC2 judges a call before it looks whether the resource exists, and what does not exist has no tags: a statement that allows ending only what carries some
//! answers no (seen in <https://github.com/aws/karpenter-provider-aws/issues/2100>). So the ids that are asked about are those of `iam::grounds`, which the
//! policies of `assay iam` name; and after a no, an instance of ours that is still listed is asked about, whose tags EC2 sees.

use futures::future::join_all;

use super::{ground::RegionContext, target::undecided};
use crate::cloud::{DryRun, DryRunAnswer};
use assay_iam::{NO_GROUP, NO_INSTANCE, NO_KEY_PAIR};
use assay_model::{UndecidedKind, evidence::UndecidedReason, tags};

impl RegionContext<'_> {
    /// Fails where EC2 says that a clean-up call is not allowed. An answer about anything else, or none, is no reason not to launch.
    pub(super) async fn clean_up_rights(&self) -> Result<(), UndecidedReason> {
        let launch = &self.order.launch;
        if !launch.clean_up_check {
            return Ok(());
        }
        let mut calls = vec![
            DryRun::TerminateInstances { instance: NO_INSTANCE.to_owned() },
            DryRun::DeleteKeyPair { name: NO_KEY_PAIR.to_owned() },
        ];
        if launch.security_group_ids.is_empty() && launch.security_group_filter.is_none() {
            calls.push(DryRun::DeleteSecurityGroup { group: NO_GROUP.to_owned() });
        }
        let answers = join_all(calls.iter().map(|call| self.denied(call))).await;
        let mut refused: Vec<(&str, String)> = Vec::new();
        for (call, words) in calls.iter().zip(answers) {
            let Some(words) = words else { continue };
            if matches!(call, DryRun::TerminateInstances { .. }) && self.may_end_one_of_ours().await {
                continue;
            }
            refused.push((call.action(), words));
        }
        if refused.is_empty() { Ok(()) } else { Err(self.refusal(&refused)) }
    }

    /// EC2's words where it clearly says no.
    async fn denied(&self, call: &DryRun) -> Option<String> {
        match self.cloud.dry_run(call).await {
            Ok(DryRunAnswer::Denied(words)) => Some(words),
            Ok(DryRunAnswer::Allowed | DryRunAnswer::NotSaid(_)) => None,
            Err(error) => {
                tracing::info!(%error, "whether clean-up is allowed could not be asked");
                None
            }
        }
    }

    /// Whether an instance that a run left in EC2's list, mostly a terminated one, could be terminated.
    async fn may_end_one_of_ours(&self) -> bool {
        let ours = [(tags::MANAGED.to_owned(), "true".to_owned())];
        let Ok(listed) = self.cloud.find_instances(&ours).await else { return false };
        let Some(one) = listed.into_iter().find(|instance| instance.tags.contains_key(tags::RUN)) else { return false };
        self.denied(&DryRun::TerminateInstances { instance: one.id }).await.is_none()
    }

    fn refusal(&self, refused: &[(&str, String)]) -> UndecidedReason {
        let actions: Vec<String> = refused.iter().map(|(action, _)| format!("ec2:{action}")).collect();
        let reason = format!(
            "nothing was launched in {}, since it could not be removed again: {} not allowed ({}). Allow it; a policy that allows it by tags alone also needs \
             the statement CleanUpProbe of `assay iam`, or launch {{ clean_up_check = false }}",
            self.cloud.region(),
            match actions.as_slice() {
                [one] => format!("{one} is"),
                several => format!("{} are", several.join(", ")),
            },
            refused[0].1,
        );
        undecided(UndecidedKind::Credentials, reason)
    }
}
