//! What one verdict is about: an AMI on an instance type, booted in one way. It owns the notation of a target in evidence, reports and events, and refuses to say
//! how an instance is launched.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    ami::AmiRef,
    evidence::TargetEvidence,
    ids::{AmiId, IdError, Region},
    verdict::Verdict,
};

/// Behind the target in text where the instance booted undisturbed.
const UNDISTURBED: &str = " (undisturbed)";

/// How an instance is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum BootOptions {
    /// With user data: the user's own, assay's host key, and the timer that powers it off.
    #[default]
    Prepared,
    /// With no user data at all, only EC2's key pair: the image's own first boot. Its host key is learned from the console.
    Undisturbed,
}

/// One thing that is launched, tested and judged. Written `us-east-1:ami-…`, with `/t3.large` behind it where an AMI is tested on several instance types, and
/// ` (undisturbed)` behind that where no user data was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetId {
    /// The AMI.
    pub ami: AmiRef,
    /// The type that it is to be tested on, where several were asked for; else the one that the settings or its architecture give.
    pub instance_type: Option<String>,
    /// How.
    pub boot: BootOptions,
}

impl TargetId {
    /// The only target of an AMI: booted as the settings say, with our user data.
    pub fn plain(ami: AmiRef) -> Self {
        Self { ami, instance_type: None, boot: BootOptions::Prepared }
    }

    /// The region that it is launched in.
    pub fn region(&self) -> &Region {
        &self.ami.region
    }

    /// The AMI's id.
    pub fn image(&self) -> &AmiId {
        &self.ami.id
    }

    /// The target as part of a file's name: nothing but letters, digits, `.` and `-`.
    pub fn file_stem(&self) -> String {
        let mut stem = format!("{}-{}", self.ami.region, self.ami.id);
        for part in self
            .instance_type
            .as_deref()
            .into_iter()
            .chain((self.boot == BootOptions::Undisturbed).then_some("undisturbed"))
        {
            stem.push('-');
            stem.push_str(part);
        }
        stem
    }
}

impl From<AmiRef> for TargetId {
    fn from(ami: AmiRef) -> Self {
        Self::plain(ami)
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ami)?;
        if let Some(instance_type) = &self.instance_type {
            write!(f, "/{instance_type}")?;
        }
        if self.boot == BootOptions::Undisturbed { f.write_str(UNDISTURBED) } else { Ok(()) }
    }
}

impl FromStr for TargetId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (rest, boot) = match text.strip_suffix(UNDISTURBED) {
            Some(rest) => (rest, BootOptions::Undisturbed),
            None => (text, BootOptions::Prepared),
        };
        let (ami, instance_type) = match rest.split_once('/') {
            Some((ami, instance_type)) => (ami, Some(checked(instance_type)?)),
            None => (rest, None),
        };
        Ok(Self { ami: ami.parse()?, instance_type, boot })
    }
}

impl TryFrom<String> for TargetId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<TargetId> for String {
    fn from(target: TargetId) -> String {
        target.to_string()
    }
}

/// An instance type in EC2's notation: `family.size`, of lower-case letters, digits and dashes.
pub fn checked(instance_type: &str) -> Result<String, IdError> {
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match instance_type.split_once('.') {
        Some((family, size)) if word(family) && word(size) => Ok(instance_type.to_owned()),
        _ => Err(IdError { what: "an instance type", value: instance_type.to_owned(), expected: "one like t3.small" }),
    }
}

impl TargetEvidence {
    /// The AMI that was tested; `None` for a host that was not booted from one by us.
    pub fn tested_ami(&self) -> Option<AmiRef> {
        self.target.parse::<TargetId>().ok().map(|target| target.ami)
    }
}

/// The verdict on one AMI: the worst over every target of it, whatever type it ran on and however it was booted; without any target it is undecided. This
/// alone is what an AMI may be stamped with, and what evidence says of a candidate.
pub fn verdict_on(ami: &AmiRef, targets: &[TargetEvidence]) -> Verdict {
    Verdict::over(targets.iter().filter(|t| t.tested_ami().as_ref() == Some(ami)).map(|t| t.verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMI: &str = "us-east-1:ami-0abcdef1234567890";

    fn found(target: &str, verdict: Verdict) -> TargetEvidence {
        TargetEvidence { verdict, ..TargetEvidence::new(target.to_owned(), None) }
    }

    #[test]
    fn the_notation_reads_back() {
        let plain = TargetId::plain(AMI.parse().expect("an AMI"));
        assert_eq!(plain.to_string(), AMI);
        let large = TargetId { instance_type: Some("t3.large".to_owned()), ..plain.clone() };
        assert_eq!(large.to_string(), format!("{AMI}/t3.large"));
        let second = TargetId { boot: BootOptions::Undisturbed, ..large.clone() };
        assert_eq!(second.to_string(), format!("{AMI}/t3.large (undisturbed)"));
        assert_eq!(second.file_stem(), "us-east-1-ami-0abcdef1234567890-t3.large-undisturbed");
        assert_eq!(plain.file_stem(), "us-east-1-ami-0abcdef1234567890");
        let lone = TargetId { boot: BootOptions::Undisturbed, ..plain.clone() };
        for target in [plain, large, second, lone] {
            assert_eq!(target.to_string().parse::<TargetId>().expect("reads back"), target);
        }
        for wrong in [
            "admin@192.0.2.1:22",
            "us-east-1:ami-0abcdef1234567890/",
            "us-east-1:ami-0abcdef1234567890/../x",
            "us-east-1:ami-0abcdef1234567890/a.b/c.d",
        ] {
            assert!(wrong.parse::<TargetId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_ami_passed_only_where_every_target_of_it_passed() {
        use Verdict::{Failed, Passed, Undecided};
        let ami: AmiRef = AMI.parse().expect("an AMI");
        let other = found("us-east-1:ami-0abcdef1234567891", Failed);
        let targets = |small, large, second| {
            vec![
                found(&format!("{AMI}/t3.small"), small),
                other.clone(),
                found(&format!("{AMI}/t3.large"), large),
                found(&format!("{AMI}/t3.large (undisturbed)"), second),
            ]
        };
        assert_eq!(verdict_on(&ami, &targets(Passed, Passed, Passed)), Passed);
        for worst in [Failed, Undecided] {
            assert_eq!(verdict_on(&ami, &targets(worst, Passed, Passed)), worst);
            assert_eq!(verdict_on(&ami, &targets(Passed, worst, Passed)), worst);
            assert_eq!(verdict_on(&ami, &targets(Passed, Passed, worst)), worst);
        }
        assert_eq!(verdict_on(&ami, &targets(Undecided, Failed, Passed)), Failed);
        assert_eq!(verdict_on(&ami, &[other]), Undecided, "no evidence of an AMI is no pass of it");
        assert_eq!(verdict_on(&ami, &[found("admin@192.0.2.1:22", Passed)]), Undecided);
    }
}
