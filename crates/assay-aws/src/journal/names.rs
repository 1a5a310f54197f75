//! Names and client tokens. It owns their one form, `assay-<run>-<process>-<region>-<n>`, lower case; a sweep recognises its own by
//! the beginning.

use assay_model::{Digest, Region, RunId};

/// A ClientToken has at most 64 ASCII characters (RunInstances in the EC2 API reference); names may be longer, but one rule serves all.
const LONGEST: usize = 64;

/// Makes the names of one process of one run.
#[derive(Debug, Clone)]
pub struct ResourceNames {
    prefix: String,
}

impl ResourceNames {
    /// Names for `process` (a few characters of a-z and 0-9) of `run`. Several processes share a run when Packer builds in parallel: without
    /// the process, two of them would ask for one key pair name, and one client token would yield one instance for both.
    pub fn new(run: &RunId, process: &str) -> Self {
        Self { prefix: format!("{}-{process}", run.resource_prefix()) }
    }

    /// What every name of this process begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of step `number` in `region`: never used twice, so that a second attempt is never answered with the first one's instance.
    pub fn of_step(&self, region: &Region, number: u32) -> String {
        let name = format!("{}-{region}-{number}", self.prefix);
        if name.len() <= LONGEST {
            return name;
        }
        let digest = Digest::of(name.as_bytes());
        let short: String = digest.as_str().trim_start_matches("sha256:").chars().take(16).collect();
        format!("{}-{short}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_unique_and_fits_a_client_token() {
        let run: RunId = "01JD0000000000000000000000".parse().expect("a run");
        let names = ResourceNames::new(&run, "k3v9qa");
        let name = names.of_step(&"ap-southeast-1".parse().expect("region"), 12);
        assert_eq!(name, "assay-01jd0000000000000000000000-k3v9qa-ap-southeast-1-12");
        assert!(name.len() <= LONGEST);
        let long: Region = "us-verylongregionname-northeast-1".parse().expect("region");
        let (a, b) = (names.of_step(&long, 1), names.of_step(&long, 2));
        assert!(a.len() <= LONGEST && a.starts_with(&run.resource_prefix()), "{a}");
        assert_ne!(a, b);
        assert_ne!(name, ResourceNames::new(&run, "k3v9qb").of_step(&"ap-southeast-1".parse().expect("region"), 12));
    }
}
