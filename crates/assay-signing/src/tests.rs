//! Against OpenSSH's own ssh-keygen (package openssh-client): it accepts what we sign, we accept what it signs, and what is wrong is said in words of its own.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use jiff::{Timestamp, tz::TimeZone};

use super::*;

const EVIDENCE: &[u8] = b"{\"schema\": 1, \"verdict\": \"passed\"}\n";

/// A folder with one key of a type.
struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    fn new(kind: &str) -> Self {
        let keys = Self { folder: tempfile::tempdir().expect("a folder") };
        let made = keygen(&["-q", "-t", kind, "-N", "", "-C", "ci@example.com", "-f"], &keys.private());
        assert!(made.status.success(), "{made:?}");
        keys
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn private(&self) -> PathBuf {
        self.path("key")
    }

    fn public(&self) -> String {
        let text = fs::read_to_string(self.path("key.pub")).expect("a public key");
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    fn allowed(&self, options: &str) -> AllowedSigners {
        let text = format!("# who may sign\n\nci@example.com {options} {} the key of CI\n", self.public());
        AllowedSigners::parse(&text, "images/allowed_signers", &TimeZone::UTC).unwrap_or_else(|e| panic!("{e}"))
    }

    /// What `ssh-keygen -Y sign` makes.
    fn signed_by_keygen(&self, namespace: &str) -> String {
        let file = self.path("evidence.json");
        fs::write(&file, EVIDENCE).expect("written");
        let key = self.private().display().to_string();
        let made = keygen(&["-q", "-Y", "sign", "-n", namespace, "-f", &key], &file);
        assert!(made.status.success(), "{made:?}");
        fs::read_to_string(self.path("evidence.json.sig")).expect("a signature")
    }

    /// What `ssh-keygen -Y verify` says of a signature.
    fn verified_by_keygen(&self, evidence: &[u8], signature: &str) -> Output {
        fs::write(self.path("message"), evidence).expect("written");
        fs::write(self.path("ours.sig"), signature).expect("written");
        let line = format!("ci@example.com namespaces=\"assay-*\" {}\n", self.public());
        fs::write(self.path("allowed"), line).expect("written");
        Command::new("ssh-keygen")
            .args(["-Y", "verify", "-n", NAMESPACE, "-I", "ci@example.com", "-f"])
            .arg(self.path("allowed"))
            .arg("-s")
            .arg(self.path("ours.sig"))
            .stdin(fs::File::open(self.path("message")).expect("the message"))
            .output()
            .expect("ssh-keygen (package openssh-client)")
    }
}

fn keygen(arguments: &[&str], file: &Path) -> Output {
    Command::new("ssh-keygen").args(arguments).arg(file).output().expect("ssh-keygen (package openssh-client)")
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a time")
}

async fn no_kms(_: &str, _: &[u8]) -> Result<Vec<u8>, String> {
    panic!("KMS was asked")
}

async fn ours(keys: &Keys) -> String {
    let signer = SigningMethod::Key(SigningKey::read(&keys.private()).unwrap_or_else(|e| panic!("{e}")));
    sign(EVIDENCE, &signer, no_kms).await.unwrap_or_else(|e| panic!("{e}"))
}

#[tokio::test]
async fn ssh_keygen_accepts_ours_and_we_accept_its() {
    for kind in ["ed25519", "ecdsa"] {
        let keys = Keys::new(kind);
        let signature = ours(&keys).await;
        let said = keys.verified_by_keygen(EVIDENCE, &signature);
        assert!(said.status.success(), "{kind}: {said:?}");
        assert!(!keys.verified_by_keygen(b"other", &signature).status.success(), "ssh-keygen does look");

        let allowed = keys.allowed("");
        let fingerprint = verify(EVIDENCE, &signature, &allowed, now()).expect("ours").fingerprint;
        let by = verify(EVIDENCE, &keys.signed_by_keygen(NAMESPACE), &allowed, now()).expect("ssh-keygen's");
        assert_eq!(by, SignedBy { principal: "ci@example.com".to_owned(), fingerprint: fingerprint.clone() });
        let shown = keygen(&["-l", "-f"], &keys.path("key.pub"));
        assert!(String::from_utf8_lossy(&shown.stdout).contains(&fingerprint), "{fingerprint}");
    }
}

/// KMS, played by openssl: SubjectPublicKeyInfo and signatures in DER, out of a P-256 key.
struct Kms(tempfile::TempDir);

impl Kms {
    fn new(curve: &str) -> Self {
        let kms = Self(tempfile::tempdir().expect("a folder"));
        kms.openssl(&["ecparam", "-name", curve, "-genkey", "-noout", "-out", "key.pem"]);
        kms
    }

    fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        let made = Command::new("openssl").args(arguments).current_dir(self.0.path()).output();
        let made = made.expect("openssl (package openssl)");
        assert!(made.status.success(), "{made:?}");
        made.stdout
    }

    fn public_key(&self) -> Vec<u8> {
        self.openssl(&["ec", "-in", "key.pem", "-pubout", "-outform", "DER"])
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        fs::write(self.0.path().join("message"), message).expect("written");
        self.openssl(&["dgst", "-sha256", "-sign", "key.pem", "message"])
    }
}

#[tokio::test]
async fn a_signature_by_kms_is_one_that_ssh_keygen_accepts() {
    let kms = Kms::new("prime256v1");
    let signer = SigningMethod::kms("alias/assay", &kms.public_key()).expect("a P-256 key");
    let keys = Keys { folder: tempfile::tempdir().expect("a folder") };
    fs::write(keys.path("key.pub"), signer.public_line().expect("a line")).expect("written");
    // Integers come with and without a sign byte, and shorter ones now and then.
    for _ in 0..16 {
        let ask = async |key: &str, message: &[u8]| {
            assert_eq!(key, "alias/assay");
            Ok(kms.sign(message))
        };
        let signature = sign(EVIDENCE, &signer, ask).await.expect("signed");
        assert!(verify(EVIDENCE, &signature, &keys.allowed(""), now()).is_ok());
        let said = keys.verified_by_keygen(EVIDENCE, &signature);
        assert!(said.status.success(), "{said:?}");
    }
}

#[tokio::test]
async fn kms_that_signs_with_another_key_or_not_at_all_gives_no_signature() {
    let (kms, other) = (Kms::new("prime256v1"), Kms::new("prime256v1"));
    let signer = SigningMethod::kms("alias/assay", &kms.public_key()).expect("a P-256 key");
    let error = sign(EVIDENCE, &signer, async |_: &str, message: &[u8]| Ok(other.sign(message))).await;
    assert!(error.expect_err("another key").to_string().contains("not that of the public key"));
    let error = sign(EVIDENCE, &signer, async |_: &str, _: &[u8]| Ok(b"?".to_vec())).await;
    assert!(error.expect_err("no DER").to_string().contains("is not the DER"));
    let error = sign(EVIDENCE, &signer, async |_: &str, _: &[u8]| Err("AccessDeniedException".to_owned())).await;
    assert!(error.expect_err("denied").to_string().contains("AccessDenied"));
    let error = SigningMethod::kms("alias/assay", &Kms::new("secp384r1").public_key()).expect_err("P-384");
    assert!(error.to_string().contains("ECC_NIST_P256"), "{error}");
}

#[tokio::test]
async fn each_thing_that_is_wrong_has_its_own_words() {
    let (keys, other) = (Keys::new("ed25519"), Keys::new("ed25519"));
    let signature = ours(&keys).await;
    let refused = |evidence: &[u8], signature: &str, allowed: &AllowedSigners| {
        verify(evidence, signature, allowed, now()).expect_err("refused")
    };
    let allowed = keys.allowed("");
    assert!(matches!(refused(b"{}", &signature, &allowed), SignatureError::Altered { .. }));
    assert!(matches!(refused(EVIDENCE, &signature, &other.allowed("")), SignatureError::UnknownKey { .. }));
    assert!(matches!(refused(EVIDENCE, &signature, &AllowedSigners::default()), SignatureError::UnknownKey { .. }));
    let namespace = refused(EVIDENCE, &keys.signed_by_keygen("file"), &allowed);
    assert_eq!(namespace, SignatureError::Namespace("file".to_owned()));
    assert!(matches!(refused(EVIDENCE, "hello", &allowed), SignatureError::Malformed(_)));
    assert_eq!(refused(EVIDENCE, &"x".repeat(SIGNATURE_AT_MOST + 1), &allowed), SignatureError::TooLong);

    let expired = refused(EVIDENCE, &signature, &keys.allowed("valid-before=\"20260301Z\""));
    assert!(matches!(&expired, SignatureError::Expired { line: 3, .. }), "{expired}");
    let early = refused(EVIDENCE, &signature, &keys.allowed("valid-after=\"202603011201Z\""));
    assert!(early.to_string().contains("2026-03-01T12:01:00Z (images/allowed_signers line 3)"), "{early}");
    let other_use = refused(EVIDENCE, &signature, &keys.allowed("namespaces=\"git,!assay-evidence,*\""));
    assert!(matches!(&other_use, SignatureError::NotForEvidence { .. }), "{other_use}");
    for fine in ["namespaces=\"git,assay-*\"", "valid-after=\"20260228\",VALID-BEFORE=\"20260302000000Z\""] {
        assert!(verify(EVIDENCE, &signature, &keys.allowed(fine), now()).is_ok(), "{fine}");
    }
}

#[tokio::test]
async fn no_byte_of_a_signature_can_be_changed() {
    let keys = Keys::new("ed25519");
    let signature = ours(&keys).await;
    let allowed = keys.allowed("");
    let body = signature.find('\n').expect("a first line") + 1..signature.rfind("\n-----END").expect("a last line");
    for at in body {
        let mut changed = signature.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("text");
        assert!(verify(EVIDENCE, &changed, &allowed, now()).is_err(), "byte {at}");
    }
}

#[test]
fn a_key_whose_line_was_removed_or_that_is_listed_again_as_expired() {
    let keys = Keys::new("ed25519");
    let line = keys.public();
    let parse = |text: &str| AllowedSigners::parse(text, "f", &TimeZone::UTC).expect("signers");
    let signature = keys.signed_by_keygen(NAMESPACE);
    let two = parse(&format!("old@example.com valid-before=\"20200101\" {line}\nci@example.com {line}\n"));
    assert_eq!(verify(EVIDENCE, &signature, &two, now()).expect("the second line").principal, "ci@example.com");
    let removed = parse(&format!("# ci@example.com {line}\n"));
    assert!(removed.is_empty());
    assert!(matches!(verify(EVIDENCE, &signature, &removed, now()), Err(SignatureError::UnknownKey { .. })));
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_line() {
    let key = Keys::new("ed25519").public();
    let text = format!(
        "*@example.com cert-authority {key}\n@revoked * {key}\nci@example.com\nci@example.com {key}\nci@example.com ssh-ed25519 AAAA\n\
         ci@example.com valid-after=20260101 {key}\nci@example.com valid-after=\"20261301\" {key}\nci@example.com namespace=\"a\" {key}\n\
         !ci@example.com {key}\nci@example.com valid-after=\"20260102\",valid-before=\"20260101\" {key}\n\"ci@example.com {key}\n"
    );
    let said =
        AllowedSigners::parse(&text, "images/allowed_signers", &TimeZone::UTC).expect_err("mistakes").to_string();
    insta::assert_snapshot!(said);
}

#[test]
fn times_without_z_are_of_the_machines_zone() {
    let keys = Keys::new("ed25519");
    let signature = keys.signed_by_keygen(NAMESPACE);
    let line = format!("ci valid-before=\"202603011130\" {}", keys.public());
    let at = |zone: TimeZone| {
        let allowed = AllowedSigners::parse(&line, "f", &zone).expect("signers");
        verify(EVIDENCE, &signature, &allowed, now()).is_ok()
    };
    assert!(!at(TimeZone::UTC), "11:30Z is past");
    assert!(at(TimeZone::fixed(jiff::tz::offset(-1))), "12:30Z is not");
}

#[test]
fn what_ssh_keygen_takes_in_a_line_is_taken() {
    let keys = Keys::new("ed25519");
    let signature = keys.signed_by_keygen(NAMESPACE);
    let (kind, key) =
        keys.public().split_once(' ').map(|(kind, key)| (kind.to_owned(), key.to_owned())).expect("a key");
    for line in [
        format!("ci@example.com valid-before=\"99991231Z\" {kind} {key}"),
        format!("ci@example.com valid-before=\"99991231\" {kind} {key}"),
        format!("ci@example.com valid-after=\"19700101Z\" {kind} {key}"),
        format!("ci@example.com   {kind}   {key}"),
        format!("ci@example.com\t{kind}\t{key}\tsomebody's key"),
    ] {
        let text = format!("{line}\n");
        for zone in [TimeZone::UTC, TimeZone::fixed(jiff::tz::offset(-12)), TimeZone::fixed(jiff::tz::offset(14))] {
            let allowed = AllowedSigners::parse(&text, "f", &zone).unwrap_or_else(|error| panic!("{line}: {error}"));
            verify(EVIDENCE, &signature, &allowed, now()).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}

#[test]
fn a_key_file_with_an_empty_line_at_its_end_signs() {
    let keys = Keys::new("ed25519");
    let text = fs::read_to_string(keys.private()).expect("a key");
    for end in ["", "\n", "\n\n", "\r\n \n"] {
        fs::write(keys.private(), format!("{}{end}", text.trim_end())).expect("written");
        SigningKey::read(&keys.private()).unwrap_or_else(|error| panic!("{end:?}: {error}"));
    }
}

#[test]
fn a_key_file_that_cannot_sign_unattended_is_refused() {
    let keys = Keys::new("ed25519");
    let said = |name: &str| SigningKey::read(&keys.path(name)).expect_err("refused").to_string();
    fs::set_permissions(keys.path("key.pub"), fs::Permissions::from_mode(0o600)).expect("a mode");
    assert!(said("key.pub").contains("is a public key"));
    assert!(said("none").contains("cannot be read"));
    assert!(said(".").contains("is no file") || said(".").contains("may be used by others"));
    fs::write(keys.path("text"), "hello").expect("written");
    fs::set_permissions(keys.path("text"), fs::Permissions::from_mode(0o600)).expect("a mode");
    assert!(said("text").contains("is no private key"));
    let made = keygen(&["-q", "-t", "ed25519", "-N", "secret", "-f"], &keys.path("locked"));
    assert!(made.status.success());
    assert!(said("locked").contains("has a passphrase"));
    let made = keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"], &keys.path("rsa"));
    assert!(made.status.success());
    assert!(said("rsa").contains("ssh-rsa"), "{}", said("rsa"));
    fs::set_permissions(keys.private(), fs::Permissions::from_mode(0o640)).expect("a mode");
    assert!(said("key").contains("mode 0640"));
    fs::set_permissions(keys.private(), fs::Permissions::from_mode(0o600)).expect("a mode");
    let shown = format!("{:?}", SigningKey::read(&keys.private()).expect("a key"));
    assert!(shown.starts_with("SigningKey(SHA256:") && shown.len() < 70, "{shown}");
}

#[test]
fn with_what_to_sign() {
    assert_eq!("kms:alias/a".parse(), Ok(SignWith::Kms("alias/a".to_owned())));
    assert_eq!("keys/ci".parse(), Ok(SignWith::File("keys/ci".into())));
    assert!("kms:".parse::<SignWith>().is_err() && "".parse::<SignWith>().is_err());
}
