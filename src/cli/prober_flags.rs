//! The flags for a prober elsewhere: `--prober-address`, `--prober-ca`, `--prober-cert`, `--prober-key`. Together they are the option `prober`, a block, which
//! no single flag can hold.

use clap::Args;
use serde_json::{Map, Value as Json};

use assay_config::{ConfigProblem, OptionLayer, ValuePlace, options};

/// A prober on another host
#[derive(Debug, Clone, Default, Args)]
pub struct ProberFlags {
    /// The prober to use in place of a process on this machine: `assay serve` there
    #[arg(long = "prober-address", id = "prober_address", value_name = "HOST:PORT", help_heading = "Remote prober")]
    address: Option<String>,
    /// The certificate of the authority that signed the prober's
    #[arg(long = "prober-ca", id = "prober_ca", value_name = "FILE", help_heading = "Remote prober")]
    ca: Option<String>,
    /// The certificate to show to the prober
    #[arg(long = "prober-cert", id = "prober_cert", value_name = "FILE", help_heading = "Remote prober")]
    cert: Option<String>,
    /// Its private key
    #[arg(long = "prober-key", id = "prober_key", value_name = "FILE", help_heading = "Remote prober")]
    key: Option<String>,
}

impl ProberFlags {
    /// Adds the option `prober` to `layer` where any of them was given.
    pub fn give(&self, layer: &mut OptionLayer, problems: &mut Vec<ConfigProblem>) {
        let given = [("address", &self.address), ("ca", &self.ca), ("cert", &self.cert), ("key", &self.key)];
        let block: Map<String, Json> =
            given.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into()))).collect();
        if block.is_empty() {
            return;
        }
        let option = options::find("prober").expect("the option is declared");
        layer.give(option, &Json::Object(block), ValuePlace::Flag, "--prober-…".to_owned(), problems);
    }
}
