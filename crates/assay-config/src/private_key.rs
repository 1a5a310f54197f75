//! Whether a file is a private key that can be used unattended. It owns that question only; the key's text is forgotten again.

use std::path::Path;

use zeroize::Zeroizing;

/// Looks at the file: a `.pub` file or a passphrase would otherwise only show as logins that never work. The error is a sentence without the file's
/// name.
pub fn usable(path: &Path) -> Result<(), String> {
    let bytes = Zeroizing::new(std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let is_key = |line: &str| line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY-----");
    // openssl writes an "EC PARAMETERS" block before some keys.
    let first = text.lines().find(|line| is_key(line)).or_else(|| text.lines().find(|line| !line.trim().is_empty()));
    let first = first.unwrap_or_default();
    if !is_key(first) {
        let public = if first.starts_with("ssh-") || first.starts_with("ecdsa-") {
            "is a public key"
        } else {
            "is no private key"
        };
        return Err(format!("{public}; expected a private one, which begins with \"-----BEGIN … PRIVATE KEY-----\""));
    }
    let openssh = ssh_key::PrivateKey::from_openssh(text);
    let legacy = text.lines().any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"));
    if legacy || first.contains("ENCRYPTED") || openssh.is_ok_and(|key| key.is_encrypted()) {
        return Err("has a passphrase, and nobody is asked for one; expected a key without".to_owned());
    }
    Ok(())
}
