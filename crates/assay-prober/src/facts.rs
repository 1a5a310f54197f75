//! What a host says of itself, so that two boots of one image can be compared: asked and read in the prober, checked again in the conductor. It owns the
//! bounds of every text; it refuses to compare.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    client::told, engine::EventListener, frames::AnswerFrame, host_key::HostKey, proto, rounds, script,
    session::SshSession,
};
use assay_model::escape::{bounded, escape_line};

/// More keys, and more errors of cloud-init, than this are not taken.
const MOST: usize = 16;
/// The longest fingerprint with its algorithm.
const FINGERPRINT: usize = 128;
/// The longest error of cloud-init.
const ERROR: usize = 400;

/// How far cloud-init got in this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudInitState {
    /// There is none.
    Absent,
    /// It is switched off.
    Disabled,
    /// It still runs.
    Running,
    /// It has finished.
    Finished,
}

/// What a host said of itself. Every text is bounded and harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The kernel's boot id; empty: not readable.
    pub boot_id: String,
    /// /etc/machine-id; empty: none.
    pub machine_id: String,
    /// The public host keys in /etc/ssh, as `ssh-ed25519 SHA256:…`, sorted.
    pub host_keys: Vec<String>,
    /// Those that were there before assay's user data replaced them, in the same form; `None` where it did not run.
    pub baked_host_keys: Option<Vec<String>>,
    /// Whether a power-off timer is armed; `None`: the host did not tell.
    pub poweroff_timer: Option<bool>,
    /// How far cloud-init got.
    pub cloud_init: CloudInitState,
    /// cloud-init's errors.
    pub cloud_init_errors: Vec<String>,
}

impl HostFacts {
    /// From the prober's words, none of which is taken on trust. `None`: they cannot be facts.
    pub(super) fn taken(facts: proto::Facts) -> Option<Self> {
        let cloud_init = match facts.cloud_init() {
            proto::CloudInitState::Absent => CloudInitState::Absent,
            proto::CloudInitState::Disabled => CloudInitState::Disabled,
            proto::CloudInitState::Running => CloudInitState::Running,
            proto::CloudInitState::Finished => CloudInitState::Finished,
            proto::CloudInitState::Unspecified => return None,
        };
        let keys =
            |keys: Vec<String>| (keys.len() <= MOST && keys.iter().all(|key| is_fingerprint(key))).then_some(keys);
        Some(Self {
            boot_id: Some(facts.boot_id).filter(|id| is_id(id))?,
            machine_id: Some(facts.machine_id).filter(|id| is_id(id))?,
            host_keys: keys(facts.host_keys)?,
            baked_host_keys: Some(keys(facts.baked_host_keys)?).filter(|_| facts.baked_host_keys_known),
            poweroff_timer: (!facts.poweroff_timer_unknown).then_some(facts.poweroff_timer),
            cloud_init,
            cloud_init_errors: facts.cloud_init_errors.iter().take(MOST).map(|e| bounded(&told(e), ERROR)).collect(),
        })
    }
}

/// Asks the host behind `session`. `None`: it gave no answer that can be read, or the session is broken, as whatever is asked next will tell.
pub(super) fn ask(session: &mut SshSession, deadline: Instant, listener: &dyn EventListener) -> Option<proto::Facts> {
    let nonce = rounds::nonce();
    let text = script::facts(&nonce);
    let asked = [rounds::ReadyScript { nonce, text, idle: Duration::from_secs(60) }];
    let answered = rounds::run_scripts(session, rounds::AS_LOGIN, &asked, deadline, listener).pop()?;
    read(answered.frames.answers.get(&0)?, answered.frames.answers.get(&1)?)
}

/// The host's two answers: facts.sh's and cloud_init.sh's.
fn read(facts: &AnswerFrame, cloud_init: &AnswerFrame) -> Option<proto::Facts> {
    let (state, cloud_init_errors) = read_cloud_init(cloud_init)?;
    Some(proto::Facts {
        boot_id: id(facts, 'b'),
        machine_id: id(facts, 'm'),
        host_keys: fingerprints(facts.bytes('k')?),
        baked_host_keys: fingerprints(facts.bytes('r')?),
        baked_host_keys_known: facts.word('n')? == "1",
        poweroff_timer: facts.word('t')? == "1",
        poweroff_timer_unknown: facts.word('t')? == "?",
        cloud_init: state.into(),
        cloud_init_errors,
    })
}

fn read_cloud_init(frame: &AnswerFrame) -> Option<(proto::CloudInitState, Vec<String>)> {
    let state = match frame.word('x')? {
        "absent" => proto::CloudInitState::Absent,
        "disabled" => proto::CloudInitState::Disabled,
        "0" => proto::CloudInitState::Running,
        "1" => proto::CloudInitState::Finished,
        _ => return None,
    };
    if state != proto::CloudInitState::Finished {
        return Some((state, Vec::new()));
    }
    let unreadable = || vec!["/run/cloud-init/result.json does not list errors".to_owned()];
    let result: Option<Value> = serde_json::from_slice(frame.bytes('o').unwrap_or_default()).ok();
    let errors = match result.as_ref().and_then(|r| r.pointer("/v1/errors")) {
        Some(Value::Array(errors)) => errors
            .iter()
            .take(MOST)
            .map(|e| bounded(&escape_line(&e.as_str().map_or_else(|| e.to_string(), str::to_owned)), ERROR))
            .collect(),
        _ => unreadable(),
    };
    Some((state, errors))
}

/// An id of the kernel's or of systemd's; empty where the host's word is none.
fn id(frame: &AnswerFrame, letter: char) -> String {
    frame.text(letter).map(|t| t.trim().to_owned()).filter(|t| is_id(t)).unwrap_or_default()
}

fn is_id(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn fingerprints(lines: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(lines);
    let mut keys: Vec<String> =
        text.lines().filter_map(HostKey::from_line).map(|key| key.fingerprint()).take(MOST).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn is_fingerprint(text: &str) -> bool {
    text.len() <= FINGERPRINT && text.bytes().all(|b| b.is_ascii_alphanumeric() || b" :+/@.-".contains(&b))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;
    use crate::frames::AnswerFrames;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    fn frame(fields: &[(&str, &str)]) -> AnswerFrame {
        let body: String =
            fields.iter().map(|(head, bytes)| format!(".{head}\n{}\n", STANDARD.encode(bytes))).collect();
        let mut frames = AnswerFrames::new("n");
        frames.feed(format!("n 0 1.00 1.50 b\n{body}n .\n").as_bytes());
        frames.answers.remove(&0).expect("it is well formed")
    }

    #[test]
    fn a_host_tells_its_boot_its_keys_and_its_timer() {
        let keys = format!("{ED} root@ip\nno key\n{ED}\n");
        let facts = frame(&[("t 1", ""), ("b", "0a-1b\n"), ("m", "abc"), ("k", &keys), ("r", ""), ("n 1", "")]);
        let cloud_init = frame(&[("x 1", ""), ("o", r#"{"v1": {"errors": ["bad\u001b[31m", {"a": 1}]}}"#)]);
        let told = HostFacts::taken(read(&facts, &cloud_init).expect("facts")).expect("taken");
        assert_eq!((told.boot_id.as_str(), told.machine_id.as_str()), ("0a-1b", "abc"));
        assert_eq!(told.host_keys.len(), 1, "{told:?}");
        assert!(told.host_keys[0].starts_with("ssh-ed25519 SHA256:"), "{told:?}");
        assert!(told.poweroff_timer == Some(true) && told.baked_host_keys == Some(Vec::new()));
        assert_eq!(told.cloud_init, CloudInitState::Finished);
        assert_eq!(told.cloud_init_errors, [r"bad\x1b[31m", r#"{"a":1}"#]);
    }

    #[test]
    fn the_hosts_ids_are_taken_only_where_they_are_ids() {
        let facts = frame(&[("t 0", ""), ("b", "x\x1b[2J"), ("m", &"a".repeat(65)), ("k", ""), ("r", ""), ("n 0", "")]);
        let told = read(&facts, &frame(&[("x absent", "")])).expect("facts");
        assert_eq!((told.boot_id.as_str(), told.machine_id.as_str()), ("", ""));
        assert!(read(&facts, &frame(&[("x maybe", "")])).is_none());
        assert!(read(&frame(&[("t 0", "")]), &frame(&[("x 0", "")])).is_none());
    }

    #[test]
    fn the_conductor_takes_no_text_on_trust() {
        let good = read(
            &frame(&[("t 0", ""), ("b", "b"), ("m", "m"), ("k", ED), ("r", ED), ("n 1", "")]),
            &frame(&[("x disabled", "")]),
        )
        .expect("facts");
        assert!(HostFacts::taken(good.clone()).is_some());
        let bad = [
            proto::Facts { boot_id: "a\n".to_owned(), ..good.clone() },
            proto::Facts { machine_id: "a".repeat(65), ..good.clone() },
            proto::Facts { host_keys: vec!["a\x1b".to_owned()], ..good.clone() },
            proto::Facts { baked_host_keys: vec!["a".to_owned(); 17], ..good.clone() },
            proto::Facts { cloud_init: 0, ..good.clone() },
        ];
        for facts in bad {
            assert_eq!(HostFacts::taken(facts.clone()), None, "{facts:?}");
        }
        let errors = vec!["e\n".repeat(2000); 40];
        let told = HostFacts::taken(proto::Facts { cloud_init_errors: errors, ..good }).expect("taken");
        assert!(told.cloud_init_errors.len() <= MOST && told.cloud_init_errors.iter().all(|e| e.len() <= ERROR + 40));
    }
}
