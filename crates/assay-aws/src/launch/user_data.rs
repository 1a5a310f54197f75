//! The user data of a test instance: the user's own, our power-off timer and our host key, as one MIME message that cloud-init takes apart.
//! It owns the merge; what each part does is cloud-init's ("User-data formats" in its documentation).
//!
//! How ours survives whatever the user gives:
//! - The timer is a `cloud-boothook`: cloud-init runs it early on *every* boot, and no `#cloud-config` can displace it (a
//!   `bootcmd:` of ours would be replaced by the user's, since parts are merged with `dict(replace)` by default).
//! - The host key is a `#cloud-config` and the *last* part, with that same merger named in its header, so that its `ssh_keys` replace the
//!   user's and everything else of the user's stays.
//! - The user's part is labelled `text/plain`, for which cloud-init looks at the first line as it does for bare user data.
//!
//! The private host key can be read by whoever may call DescribeInstanceAttribute in this account, and by processes on the
//! instance. It is thrown away with the instance, and proves that the machine which answers is the one that was launched,
//! not that it is harmless.

use secrecy::ExposeSecret;

use super::KeyPairText;
use assay_config::user_data::{LIMIT, part};
use assay_model::Digest;

/// User data that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserDataError {
    /// EC2 takes no more.
    #[error(
        "user_data is too long: it makes {total} bytes together with assay's own part, and EC2 takes {LIMIT}; \
         shorten it by {} bytes", total - LIMIT
    )]
    TooLong {
        /// The length of the whole message.
        total: usize,
    },
}

/// When an instance ends itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceExpiry {
    /// Unix seconds.
    pub at: i64,
    /// The longest time from any boot, for instances whose clock is wrong.
    pub ttl: u64,
}

/// Whether `user` fits beside our own part. Works offline: for checking a configuration.
pub fn check(user: Option<&[u8]>) -> Result<(), UserDataError> {
    let sample = KeyPairText { private_key: "x".repeat(420).into(), public_key: "x".repeat(81) };
    merge(user, &sample, InstanceExpiry { at: i64::from(u32::MAX), ttl: u64::from(u32::MAX) }).map(drop)
}

/// The message: timer, the user's own data where there is any, host key. Fails when it is longer than EC2 takes.
pub fn merge(user: Option<&[u8]>, host_key: &KeyPairText, expiry: InstanceExpiry) -> Result<Vec<u8>, UserDataError> {
    let mut parts = vec![text_part("text/cloud-boothook", "assay-expiry", None, &timer(expiry))];
    parts.extend(user.filter(|data| !data.is_empty()).map(part));
    let merger = Some("dict(replace)+list()+str()");
    parts.push(text_part("text/cloud-config", "assay-host-key", merger, &host_key_config(host_key)));
    let boundary = boundary(&parts);
    let mut out = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n").into_bytes();
    for part in parts {
        out.extend_from_slice(format!("--{boundary}\n").as_bytes());
        out.extend_from_slice(&part);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("--{boundary}--\n").as_bytes());
    if out.len() > LIMIT { Err(UserDataError::TooLong { total: out.len() }) } else { Ok(out) }
}

/// A boundary that no part contains (RFC 2046, section 5.1.1).
fn boundary(parts: &[Vec<u8>]) -> String {
    let mut seed = parts.concat();
    loop {
        let boundary = format!("==assay-{}==", &Digest::of(&seed).as_str()[7..39]);
        if !parts.iter().any(|part| part.windows(boundary.len()).any(|window| window == boundary.as_bytes())) {
            return boundary;
        }
        seed.push(b'.');
    }
}

fn text_part(kind: &str, name: &str, merger: Option<&str>, text: &str) -> Vec<u8> {
    let merger = merger.map(|m| format!("Merge-Type: {m}\n")).unwrap_or_default();
    format!(
        "Content-Type: {kind}; charset=\"us-ascii\"\nContent-Disposition: attachment; filename=\"{name}\"\n{merger}\n{text}"
    )
    .into_bytes()
}

/// Powers the instance off at its expiry. Its shutdown behaviour is `terminate`, so that ends it. By a systemd timer where systemd
/// runs, else by a sleeping process; armed anew on every boot with the time that is left.
///
/// cloud-init runs boothooks before systemd's sysinit.target is reached, which units wait for by default: without `--no-block` and
/// `DefaultDependencies=no` the boot would wait for the timer, and the timer for the boot.
fn timer(InstanceExpiry { at, ttl }: InstanceExpiry) -> String {
    format!(
        "#cloud-boothook\n\
         #!/bin/sh\n\
         # assay: the host keys that the image brought, before cloud-init replaces them; then the timer.\n\
         [ -e /run/assay-host-keys ] || cat /etc/ssh/ssh_host_*_key.pub >/run/assay-host-keys 2>/dev/null\n\
         # A test instance ends itself when nobody did it earlier.\n\
         # Reckoned by the instance's own clock, from its first boot on: whoever launched it may have another.\n\
         ends=/var/lib/cloud/instance/assay-expires-at\n\
         [ -s $ends ] || echo $(( $(date +%s) + {ttl} )) >$ends 2>/dev/null\n\
         at=$(cat $ends 2>/dev/null); case $at in ''|*[!0-9]*) at={at};; esac\n\
         left=$(( at - $(date +%s) ))\n\
         if [ \"$left\" -gt {ttl} ]; then left={ttl}; fi\n\
         if [ \"$left\" -lt 60 ]; then left=60; fi\n\
         if [ -d /run/systemd/system ] && systemd-run --quiet --no-block --unit=assay-expiry \
         --timer-property=DefaultDependencies=no --property=DefaultDependencies=no --on-active=\"${{left}}s\" \
         /bin/sh -c 'poweroff || poweroff -f' >/dev/null 2>&1; then\n  exit 0\nfi\n\
         ( sleep \"$left\"; poweroff || poweroff -f || halt -f -p ) </dev/null >/dev/null 2>&1 &\n"
    )
}

/// cloud-init's `ssh_keys`: it deletes the image's host keys and writes this one.
fn host_key_config(key: &KeyPairText) -> String {
    let private: String = key.private_key.expose_secret().lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "#cloud-config\nssh_deletekeys: true\nssh_keys:\n  ed25519_private: |\n{private}  ed25519_public: {}\n",
        key.public_key
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRY: InstanceExpiry = InstanceExpiry { at: 1_800_000_000, ttl: 3600 };

    fn merged(user: Option<&[u8]>) -> String {
        let key = KeyPairText::generate("assay").expect("key");
        String::from_utf8(merge(user, &key, EXPIRY).expect("fits")).expect("text")
    }

    #[test]
    fn ours_comes_last_so_that_its_host_key_wins() {
        let text = merged(Some(b"#cloud-config\nssh_keys:\n  ed25519_private: theirs\nbootcmd: [echo]\n"));
        let order: Vec<usize> = ["text/cloud-boothook", "bootcmd: [echo]", "BEGIN OPENSSH PRIVATE KEY"]
            .iter()
            .map(|mark| text.find(mark).expect("in the message"))
            .collect();
        assert!(order.is_sorted(), "{order:?}");
        assert!(text.contains("Merge-Type: dict(replace)"));
    }

    #[test]
    fn the_sample_of_the_offline_check_is_as_long_as_a_real_key() {
        let real = merged(Some(b"#!/bin/sh\n")).len();
        let room = LIMIT - real;
        assert!(check(Some(b"#!/bin/sh\n")).is_ok());
        // Longer by a margin than what fits with a real key must be refused; shorter by one must not.
        let lines = |n: usize| b"0123456789\n".repeat(n / 11);
        assert!(check(Some(&lines(room + 200))).is_err());
        assert!(check(Some(&lines(room - 200))).is_ok());
    }

    /// What the configuration lets through fits, whatever form it travels in.
    #[test]
    fn nothing_that_the_configuration_takes_is_too_long() {
        use assay_config::user_data::refusal;
        for byte in [b"x\n", b"\xff\n"] {
            let mut data = byte.repeat(3000);
            while refusal(&data).is_none() {
                assert_eq!(check(Some(&data)), Ok(()), "{}", data.len());
                data.extend_from_slice(&byte.repeat(50));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_plain_text_travel_as_base64() {
        assert!(merged(Some("#!/bin/sh\necho ü\n".as_bytes())).contains("Content-Transfer-Encoding: base64"));
        assert!(merged(Some(&[0x1f, 0x8b, 0, 255])).contains("application/x-gzip"));
        assert!(merged(Some(b"#!/bin/sh\r\n")).contains("base64"));
        assert!(!merged(None).contains("user-data"));
    }

    #[test]
    fn a_message_of_the_users_is_nested_whole() {
        let theirs =
            b"From nobody\nContent-Type: multipart/mixed; boundary=\"b\"\nMIME-Version: 1.0\n\n--b\n\nx\n--b--\n";
        let text = merged(Some(theirs));
        assert!(text.contains("--b--") && !text.contains("From nobody"), "{text}");
    }

    #[test]
    fn the_timer_waits_for_nothing_of_the_boot_that_waits_for_it() {
        let script = timer(EXPIRY);
        for needed in ["--no-block", "--timer-property=DefaultDependencies=no", "--property=DefaultDependencies=no"] {
            assert!(script.contains(needed), "{script}");
        }
    }

    /// Runs the timer's script as the first and a later boot do, with a clock of its own; returns how long the timer was set each time.
    fn armed(script: &str, clocks: &[i64]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let script = script
            .replace("/var/lib/cloud/instance", &folder.path().display().to_string())
            .replace("/run/systemd/system", &folder.path().display().to_string())
            .replace("/run/assay-host-keys", &path("keys"));
        let tool = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).expect("written");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(folder.path().join(name), mode).expect("executable");
        };
        tool(
            "systemd-run",
            format!(
                "#!/bin/sh\nfor a; do case $a in --on-active=*) echo \"${{a#*=}}\" >>{};; esac; done\n",
                path("armed")
            ),
        );
        for clock in clocks {
            tool("date", format!("#!/bin/sh\necho {clock}\n"));
            let search = format!("{}:/usr/bin:/bin", folder.path().display());
            let body = script.split_once('\n').expect("a first line").1;
            let ran = std::process::Command::new("/bin/sh").args(["-c", body]).env("PATH", search).status();
            assert!(ran.expect("sh").success());
        }
        let armed = std::fs::read_to_string(folder.path().join("armed")).expect("armed");
        armed.lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_instance_lives_as_long_as_it_should_whatever_clock_launched_it() {
        let expiry = InstanceExpiry { at: 1_000_600, ttl: 600 };
        // Launched by a machine that is ten minutes slow; booted again three minutes later, and after its time.
        assert_eq!(armed(&timer(expiry), &[1_000_600, 1_000_780, 1_009_999]), ["600s", "420s", "60s"]);
        assert_eq!(armed(&timer(expiry), &[900_000, 900_100]), ["600s", "500s"], "or is days ahead");
    }

    #[test]
    fn too_long_says_by_how_much() {
        let error = check(Some(&b"#!/bin/sh\n".repeat(2000))).expect_err("too long").to_string();
        assert!(error.contains("EC2 takes 16384; shorten it by"), "{error}");
    }
}
