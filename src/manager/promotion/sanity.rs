//! Sanity: whether a run may be promoted now, with every reason at once. It owns which questions are asked for which move; it writes nothing.

use std::collections::BTreeSet;

use super::{
    context::{self, MoveContext},
    evidence::{self, EvidenceDemands, FoundEvidence},
    facts,
    outcome::{MoveRefusal, PromotionError},
    rules::PromotionRules,
    vouching,
};
use assay_ledger::LedgerSnapshot;
use assay_model::{AmiRecord, Architecture, Candidate, Region, lock::LockCopy};

/// What is to be judged.
pub(super) struct SanityCase<'a> {
    pub context: &'a MoveContext<'a>,
    pub books: &'a LedgerSnapshot,
    pub rules: &'a PromotionRules,
    pub candidate: &'a Candidate,
    /// Copies that count as its AMIs too.
    pub copies: Vec<LockCopy>,
    pub proof: &'a FoundEvidence,
    /// Whether the lock holds the run: then its tags' state does not count.
    pub in_lock: bool,
    /// It was gold before: what it was made from, on what, and when it was tested are history.
    pub rollback: bool,
}

impl SanityCase<'_> {
    /// Every reason against it; none: it is sane. Fails where git or EC2 gives no answer.
    pub(super) async fn check(&self) -> Result<Vec<MoveRefusal>, PromotionError> {
        let mut refusals = Vec::new();
        if !self.rollback {
            refusals.extend(self.source().await);
        }
        let (amis, covered) = self.evidence(&mut refusals).await?;
        let image = &self.candidate.image;
        let records = self.candidate.amis.iter().map(|ami| &ami.record).chain(self.copies.iter().map(|c| &c.record));
        for record in records {
            refusals.extend(facts::compare(&amis, record, image, self.candidate.run, self.in_lock));
        }
        refusals.extend(facts::uncovered(&amis, self.candidate, &covered));
        refusals.extend(self.copies.iter().filter_map(|copy| facts::copied(&amis, copy, self.candidate)));
        if !self.rollback {
            refusals.extend(facts::origin(&amis, self.candidate));
            let account = self.context.factory.caller_account().await?;
            let records = self.candidate.amis.iter().map(|ami| &ami.record);
            refusals.extend(facts::foreign(records.chain(self.copies.iter().map(|copy| &copy.record)), &account));
            refusals.extend(self.parent(&amis).await?);
        }
        Ok(refusals)
    }

    /// Whether it was made from what the protected branch holds.
    async fn source(&self) -> Option<MoveRefusal> {
        let about = format!("run {}", self.candidate.run);
        let wanted = match self.rules.source_digest(self.books).await {
            Ok(digest) => digest,
            Err(refusal) => return Some(refusal),
        };
        match &self.candidate.provenance.source_digest {
            Some(made) if wanted.is(made) => None,
            Some(made) => Some(MoveRefusal::new(
                about,
                format!(
                    "was made from other inputs ({made}) than {} holds now ({}); build it again",
                    self.context.branch(),
                    wanted.current
                ),
            )),
            None => Some(MoveRefusal::new(about, "the candidate does not say what it was made from (source_digest)")),
        }
    }

    async fn evidence(
        &self,
        refusals: &mut Vec<MoveRefusal>,
    ) -> Result<(facts::SeenImages, BTreeSet<assay_model::AmiRef>), PromotionError> {
        // What was gold passed the suites of its time.
        let suites = match self.rollback {
            true => Ok(Vec::new()),
            false => self.rules.suites(self.books).await,
        };
        let suites = suites.unwrap_or_else(|reasons| {
            refusals.extend(reasons);
            Vec::new()
        });
        let promotion = &self.rules.promotion;
        let demands = EvidenceDemands {
            candidate: self.candidate,
            suites: &suites,
            max_age: (!self.rollback).then_some(promotion.evidence_max_age),
            pinned: promotion.require_pinned_host_key && !self.rollback,
            now: context::now(),
        };
        let (reasons, covered) = evidence::judge(self.proof, &demands);
        refusals.extend(reasons);
        if !self.rollback {
            refusals.extend(vouching::check(self.context, self.books, self.rules, self.proof).await?);
        }
        let amis = self.candidate.amis.iter().map(|ami| ami.record.ami.clone());
        let amis = amis.chain(self.copies.iter().map(|copy| copy.record.ami.clone()));
        let wanted: Vec<_> =
            amis.filter(|ami| !self.rollback || self.rules.covers(&ami.region, self.candidate)).collect();
        let (seen, mut unanswered) = facts::look(self.context.factory, wanted).await;
        // A way back must be open while a region is down: what is there can be launched. Where nothing answers at all, nothing is known.
        if let Some((_, error)) = unanswered.pop().filter(|_| !self.rollback || seen.is_empty()) {
            return Err(error.into());
        }
        Ok((seen, covered))
    }

    /// Whether it was built on what is gold of its parent.
    async fn parent(&self, seen: &facts::SeenImages) -> Result<Vec<MoveRefusal>, PromotionError> {
        let Some(parent) = &self.rules.image.parent else { return Ok(Vec::new()) };
        let about = format!("run {}", self.candidate.run);
        let lock = self.books.lock(parent).await?;
        let Some(gold) = lock.gold else {
            return Ok(vec![MoveRefusal::new(about, format!("its parent, image {parent}, has no gold"))]);
        };
        let parents = lock.amis(gold);
        let mut refusals = match &self.candidate.provenance.parent {
            Some(built_on) if parents.iter().any(|record| record.ami.id == *built_on) => Vec::new(),
            Some(built_on) => vec![MoveRefusal::new(
                about,
                format!("was built on {built_on}, which is not gold of image {parent} (run {gold}); build it again"),
            )],
            None => {
                vec![MoveRefusal::new(
                    about,
                    format!("the candidate does not say which AMI of {parent} it was built on"),
                )]
            }
        };
        refusals.extend(facts::orphans(seen, self.candidate, &parents, parent));
        Ok(refusals)
    }
}

/// The architectures that gold has and that would be lost with a run whose AMIs are `has`: a run of one architecture must not take the place of another's. What assay.hcl declares is
/// asked for by [`coverage`], and may be less.
pub(super) fn lost(
    rules: &PromotionRules,
    about: impl ToString,
    gold: &[AmiRecord],
    has: &BTreeSet<(Architecture, Region)>,
) -> Vec<MoveRefusal> {
    if !rules.image.architectures.is_empty() {
        return Vec::new();
    }
    let about = about.to_string();
    let before: BTreeSet<Architecture> = gold.iter().map(|record| record.architecture).collect();
    let gone = before.into_iter().filter(|before| !has.iter().any(|(architecture, _)| architecture == before));
    let why = |architecture| {
        format!(
            "has no AMI for {architecture}, and gold has one; build all architectures in one packer build (a source for each), or declare architectures in assay.hcl"
        )
    };
    gone.map(|architecture| MoveRefusal::new(&about, why(architecture))).collect()
}

/// The declared places that gold would not cover, where `has` are those of its AMIs.
pub(super) fn coverage(
    rules: &PromotionRules,
    about: impl ToString,
    has: &BTreeSet<(Architecture, Region)>,
) -> Vec<MoveRefusal> {
    if rules.image.architectures.is_empty() && rules.image.regions.is_empty() {
        return Vec::new();
    }
    let architectures: BTreeSet<Architecture> = match rules.image.architectures.as_slice() {
        [] => has.iter().map(|(architecture, _)| *architecture).collect(),
        declared => declared.iter().copied().collect(),
    };
    let regions: BTreeSet<&Region> = match rules.image.regions.as_slice() {
        [] => has.iter().map(|(_, region)| region).collect(),
        declared => declared.iter().chain(&rules.image.distribution.ami_regions).collect(),
    };
    let about = about.to_string();
    let mut refusals = Vec::new();
    for architecture in architectures {
        for region in &regions {
            if !has.contains(&(architecture, (*region).clone())) {
                let why = format!("assay.hcl declares {architecture} in {region}, and the run has no such AMI");
                refusals.push(MoveRefusal::new(&about, why));
            }
        }
    }
    refusals
}
