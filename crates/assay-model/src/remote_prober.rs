//! Where a prober on another host is found, and what the two prove to each other: the settings hold it, and the prober's client connects by it.

use std::path::PathBuf;

/// A prober on another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteProber {
    /// Its name or address, which its certificate must hold; without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// CA certificate file.
    pub ca: PathBuf,
    /// Client certificate file.
    pub cert: PathBuf,
    /// Client key file.
    pub key: PathBuf,
}
