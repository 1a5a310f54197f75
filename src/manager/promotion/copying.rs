//! Copies of tested AMIs in further regions: which are due, and making them. It owns that a copy is made once, however often it is asked for, and that EC2 itself says
//! what it was copied from, and that a copy which EC2 failed is asked for again, a few times; it refuses to write git, and to remove anything.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::{
    context::{CopyPace, MoveContext},
    facts,
};
use assay_aws::{
    cloud::{Cloud, CloudErrorKind, CloudFactory, CloudImage, CloudResult, CopyImage},
    registry,
};
use assay_config::file::DistributionDecl;
use assay_model::{
    AmiId, AmiRecord, AmiRef, Architecture, Digest, ImageName, ImageState, Region, RunId,
    lock::{Lock, LockCopy},
    tags,
};

/// A copy that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DueCopy {
    pub of: AmiRecord,
    pub to: Region,
}

/// What is lacking in `regions`: one AMI for each architecture that the run has. `has`: all of its AMIs, the tested ones first.
pub(super) fn due(has: &[AmiRecord], regions: &[Region]) -> Vec<DueCopy> {
    let mut sources: BTreeMap<Architecture, &AmiRecord> = BTreeMap::new();
    for record in has {
        sources.entry(record.architecture).or_insert(record);
    }
    let there: BTreeSet<(Architecture, &Region)> = has.iter().map(|r| (r.architecture, &r.ami.region)).collect();
    let regions: BTreeSet<&Region> = regions.iter().collect();
    let missing = sources.iter().flat_map(|(architecture, of)| {
        let open = regions.iter().filter(|region| !there.contains(&(*architecture, **region)));
        open.map(|region| DueCopy { of: (*of).clone(), to: (*region).clone() })
    });
    missing.collect()
}

/// The copies of a run in `regions` that EC2 says do not exist any more: they are made again. One whose region does not answer counts as there.
pub(super) async fn lost(factory: &dyn CloudFactory, lock: &Lock, run: RunId, regions: &[Region]) -> BTreeSet<AmiRef> {
    let copies = lock.copies(run).map(|copy| copy.record.ami.clone()).filter(|ami| regions.contains(&ami.region));
    let (seen, _) = facts::look(factory, copies).await;
    seen.into_iter().filter(|(_, image)| image.is_none()).map(|(ami, _)| ami).collect()
}

/// Makes what is due, all at once, and waits until it is available. A copy of an earlier try is found and taken. `Err`: what is not there, in words.
pub(super) async fn make(
    context: &MoveContext<'_>,
    lock: &Lock,
    run: RunId,
    distribution: &DistributionDecl,
    due: &[DueCopy],
) -> Result<Vec<LockCopy>, Vec<String>> {
    let made = join_all(due.iter().map(|one| async move {
        let copier = ImageCopier { context, lock, run, distribution, due: one, cloud: context.factory.region(&one.to) };
        copier.copy().await.map_err(|why| format!("the copy of {} to {}: {why}", one.of.ami, one.to))
    }))
    .await;
    let mut copies = Vec::new();
    let mut problems = Vec::new();
    for one in made {
        match one {
            Ok(copy) => copies.push(copy),
            Err(problem) => problems.push(problem),
        }
    }
    copies.sort_by_key(|copy| (copy.record.architecture, copy.record.ami.region.clone()));
    if problems.is_empty() { Ok(copies) } else { Err(problems) }
}

/// After so many copies that EC2 failed, another one would fail too.
const MOST_FAILED: usize = 3;
/// So many tokens of copies that are gone are passed over.
const MOST_TOKENS: usize = 16;
/// For so many looks something just made may not be listed yet.
const UNLISTED: u32 = 6;
/// What EC2 allows an AMI's name (RegisterImage, `Name`).
const LONGEST_NAME: usize = 128;

/// The token of a copy: the same for every try, until EC2 has failed it; then another one ("Ensuring idempotency in Amazon EC2 API requests" allows 64
/// ASCII characters). `number`: counts from 0.
fn token(run: RunId, of: &AmiRef, to: &Region, number: usize) -> String {
    let again = if number == 0 { String::new() } else { format!(" {number}") };
    let digest = Digest::of(format!("assay copy {run} {of} {to}{again}").as_bytes());
    digest.as_str().trim_start_matches("sha256:").to_owned()
}

/// The copy's name: the source's. One that failed keeps its name until somebody deregisters it, and names are unique in a region.
fn name(of: &str, number: usize) -> String {
    if number == 0 {
        return of.to_owned();
    }
    let number = format!("-{}", number + 1);
    let kept: String = of.chars().take(LONGEST_NAME - number.len()).collect();
    kept + &number
}

/// Copies of earlier tries.
struct EarlierCopies {
    /// One that is, or will be, usable.
    usable: Option<CloudImage>,
    /// Those that EC2 failed.
    failed: Vec<String>,
}

struct ImageCopier<'a> {
    context: &'a MoveContext<'a>,
    lock: &'a Lock,
    run: RunId,
    distribution: &'a DistributionDecl,
    due: &'a DueCopy,
    cloud: std::sync::Arc<dyn Cloud>,
}

impl ImageCopier<'_> {
    async fn copy(&self) -> Result<LockCopy, String> {
        let EarlierCopies { usable, failed } = self.earlier().await?;
        let id = match usable {
            Some(image) => image.id,
            None if failed.len() >= MOST_FAILED => return Err(give_up(&self.due.to, &failed)),
            None => {
                self.context.events.note(format!("copying {} to {}", self.due.of.ami, self.due.to));
                self.fresh(&failed).await?
            }
        };
        let ami = AmiRef { region: self.due.to.clone(), id };
        let image = self.available(&ami).await?;
        let record = facts::record(ami, &image).ok_or("it is of an architecture that assay does not know")?;
        Ok(LockCopy { record, of: self.due.of.ami.clone() })
    }

    /// The copies that earlier tries made: found by their tags, and believed only if EC2 names the same source.
    async fn earlier(&self) -> Result<EarlierCopies, String> {
        let wanted = [
            (tags::MANAGED, "true".to_owned()),
            (tags::IMAGE, self.lock.image.to_string()),
            (tags::RUN, self.run.to_string()),
            (tags::COPY_OF, self.due.of.ami.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let found = self.cloud.find_images(&wanted).await.map_err(|error| error.to_string())?;
        let is_real = |image: &CloudImage| facts::source_of(image).as_ref() == Some(&self.due.of.ami);
        let is_usable = |image: &CloudImage| matches!(image.state.as_str(), "available" | "pending");
        let failed = found.iter().filter(|image| image.state == "failed").map(|image| image.id.to_string()).collect();
        Ok(EarlierCopies { usable: found.into_iter().find(|image| is_real(image) && is_usable(image)), failed })
    }

    /// A copy by the first token that EC2 does not remember for another one: it answers a token for a day or so with what it made by it, also where that
    /// failed and was deregistered, and refuses it with other parameters.
    async fn fresh(&self, failed: &[String]) -> Result<AmiId, String> {
        for number in failed.len()..failed.len() + MOST_TOKENS {
            match self.ask(number).await {
                Ok(id) if failed.iter().any(|one| one == id.as_str()) => {}
                Ok(id) if self.is_listed(&id).await? => return Ok(id),
                Ok(_) => {}
                Err(error) if error.code == "IdempotentParameterMismatch" => {}
                // A name is taken: of another architecture's AMI, or of one that stands there from before. What an AMI is its tags say, not its name.
                Err(error) if error.kind == CloudErrorKind::Duplicate => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("EC2 remembers too many copies of it that are gone, or too many AMIs have its name; run the promotion again in a day".to_owned())
    }

    /// Whether EC2 shows what it says that it made; soon, since it may take a moment.
    async fn is_listed(&self, id: &AmiId) -> Result<bool, String> {
        for look in 0..UNLISTED {
            if look > 0 {
                tokio::time::sleep(self.context.copies.pause).await;
            }
            match self.cloud.describe_images(std::slice::from_ref(id)).await {
                Ok(images) if images.is_empty() => {}
                Ok(_) => return Ok(true),
                Err(error) if error.kind == CloudErrorKind::NotFound => {}
                // Whoever waits for it will see.
                Err(error) if error.kind.may_pass() => return Ok(true),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(false)
    }

    async fn ask(&self, number: usize) -> CloudResult<AmiId> {
        let copy = CopyImage {
            source: self.due.of.ami.clone(),
            name: name(&self.due.of.name, number),
            description: format!("{} run {}, copied from {} by assay", self.lock.image, self.run, self.due.of.ami),
            client_token: token(self.run, &self.due.of.ami, &self.due.to, number),
            encrypted: self.distribution.kms_key_id.is_some(),
            kms_key_id: self.distribution.kms_key_id.clone(),
            tags: self.tags().await?,
        };
        match self.cloud.copy_image(&copy).await {
            Ok(id) => Ok(id),
            // The answer was lost: the same token gives the same copy.
            Err(error) if error.kind == CloudErrorKind::Unknown => self.cloud.copy_image(&copy).await,
            other => other,
        }
    }

    /// The source's own tags, the user's included, and what the lock says of the run.
    async fn tags(&self) -> CloudResult<BTreeMap<String, String>> {
        let source = self.context.factory.region(&self.due.of.ami.region);
        let image = source.describe_images(std::slice::from_ref(&self.due.of.ami.id)).await?.into_iter().next();
        let mut all = image.map(|image| image.tags).unwrap_or_default();
        all.retain(|key, _| !key.starts_with("aws:") && key != tags::PROTECTED_BY);
        all.extend(registry::wanted_tags(self.lock, self.run).unwrap_or_default());
        // The lock does not name it yet, and may never: a copy that a promotion leaves behind must not pass for a promoted AMI, which no revocation would reach.
        all.insert(tags::STATE.to_owned(), ImageState::Candidate.to_string());
        all.insert(tags::COPY_OF.to_owned(), self.due.of.ami.to_string());
        Ok(all)
    }

    async fn available(&self, ami: &AmiRef) -> Result<CloudImage, String> {
        let CopyPace { patience, pause } = self.context.copies;
        let deadline = tokio::time::Instant::now() + patience;
        let mut told = tokio::time::Instant::now();
        loop {
            let seen = match self.cloud.describe_images(std::slice::from_ref(&ami.id)).await {
                Ok(images) => images.into_iter().next(),
                // What was just made may not be listed yet.
                Err(error) if error.kind == CloudErrorKind::NotFound || error.kind.may_pass() => None,
                Err(error) => return Err(error.to_string()),
            };
            match seen {
                Some(image) if image.state == "available" => return Ok(image),
                Some(image) if image.state == "failed" => {
                    let why = &image.attributes.state_reason;
                    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
                    return Err(format!(
                        "EC2 failed it{why}; run the promotion again: it asks for another copy than {ami}"
                    ));
                }
                Some(image) if image.state != "pending" => {
                    let (state, id, region) = (&image.state, &ami.id, &ami.region);
                    return Err(format!(
                        "{ami} is {state}; look at it, and remove it: aws ec2 deregister-image --region {region} --image-id {id}"
                    ));
                }
                _ => {}
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(format!("{ami} is not available after {} s", patience.as_secs()));
            }
            if told.elapsed().as_secs() >= 60 {
                told = tokio::time::Instant::now();
                self.context.events.note(format!("{ami} is being copied from {}", self.due.of.ami));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn give_up(region: &Region, failed: &[String]) -> String {
    format!(
        "EC2 has failed it {} times ({}); find out why (a KMS key that cannot be used?), then remove those: aws ec2 deregister-image --region {region} \
         --image-id ID",
        failed.len(),
        failed.join(" ")
    )
}

/// Whether a copy of the lock may stand for a tested AMI, for messages.
pub(super) fn words(image: &ImageName, due: &[DueCopy]) -> String {
    let places: Vec<String> = due.iter().map(|one| format!("{} to {}", one.of.architecture, one.to)).collect();
    format!("image {image}: copying {}", places.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_ledger::fixtures::ami;

    #[test]
    fn each_architecture_goes_once_to_each_region_that_lacks_it() {
        let has = [
            ami("x86_64", "us-east-1", 1, b"", ""),
            ami("arm64", "us-east-1", 2, b"", ""),
            ami("x86_64", "eu-west-1", 3, b"", ""),
        ]
        .map(|ami| ami.record);
        let regions = ["eu-west-1", "us-west-2", "us-west-2", "us-east-1"].map(|r| r.parse().expect("a region"));
        let shown: Vec<String> =
            due(&has, &regions).iter().map(|d| format!("{} {} {}", d.of.architecture, d.of.ami, d.to)).collect();
        assert_eq!(
            shown,
            [
                "x86_64 us-east-1:ami-0abcdef1234567801 us-west-2",
                "arm64 us-east-1:ami-0abcdef1234567802 eu-west-1",
                "arm64 us-east-1:ami-0abcdef1234567802 us-west-2"
            ]
        );
        assert_eq!(due(&has, &[]), []);
    }

    #[test]
    fn a_token_is_of_one_copy() {
        let run = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C".parse().expect("a run");
        let of: AmiRef = "us-east-1:ami-0abcdef1234567801".parse().expect("an AMI");
        let to = |region: &str, failed| token(run, &of, &region.parse().expect("a region"), failed);
        assert_eq!(to("eu-west-1", 0).len(), 64);
        assert_ne!(to("eu-west-1", 0), to("us-west-2", 0));
        assert_ne!(to("eu-west-1", 0), to("eu-west-1", 1));
    }

    #[test]
    fn a_copy_is_named_as_its_source_and_the_next_one_by_its_number() {
        assert_eq!((name("base-1", 0), name("base-1", 2)), ("base-1".to_owned(), "base-1-3".to_owned()));
        let long = "n".repeat(128);
        assert_eq!(name(&long, 1), "n".repeat(126) + "-2");
    }
}
