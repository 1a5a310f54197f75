//! The SSH server's effective settings, as `sshd -T` prints them: a keyword in lower case and its value on each line,
//! some keywords on several. It owns which of them are lists and how they are divided.

use serde_json::{Value, json};

use super::{QuestionKind, SeenProperty, complaints, first_line, quote};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// The functions that find out what the running server was told.
macro_rules! settings {
    () => {
        include_str!("sshd_settings.sh")
    };
}
pub(super) use settings;

/// See the file. What asks is a program of its own, for it may have to run as root.
pub(super) const KIND: QuestionKind = QuestionKind {
    shell: &[
        concat!("sshd_program() {\ncat <<'SSHD'\n", settings!(), include_str!("sshd_program.sh"), "SSHD\n}"),
        include_str!("sshd.sh"),
    ],
    ask,
    observe,
    slow: false,
};

/// Lists in one line, divided by commas.
const COMMAS: &[&str] = &[
    "ciphers",
    "macs",
    "kexalgorithms",
    "hostkeyalgorithms",
    "pubkeyacceptedalgorithms",
    "hostbasedacceptedalgorithms",
    "casignaturealgorithms",
    "gssapikexalgorithms",
];
/// Lists in one line, divided by blanks.
const BLANKS: &[&str] =
    &["authorizedkeysfile", "authenticationmethods", "permitopen", "permitlisten", "channeltimeout", "ipqos"];
/// Lists with one element in each line.
const LINES: &[&str] = &[
    "hostkey",
    "hostcertificate",
    "port",
    "listenaddress",
    "acceptenv",
    "setenv",
    "subsystem",
    "allowusers",
    "allowgroups",
    "denyusers",
    "denygroups",
    "logverbose",
];
/// What older servers call some keywords (before OpenSSH 8.5 and 8.7).
const FORMERLY: &[(&str, &str)] = &[
    ("pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes"),
    ("hostbasedacceptedalgorithms", "hostbasedacceptedkeytypes"),
    ("kbdinteractiveauthentication", "challengeresponseauthentication"),
];

fn ask(check: &Check) -> String {
    let connection = check.parameters.get("match").and_then(Value::as_str).unwrap_or_default();
    format!("ask_sshd {}", quote(connection))
}

fn observe(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let output = match frame.whole('o', &[0]) {
        Ok(output) => output,
        Err(why) => return SeenProperty::unknown(format!("sshd -T: {why}")),
    };
    let mut lines = output.splitn(4, '\n');
    let mut word = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let (status, why, _) = (word("status"), word("why"), word("match"));
    let output = lines.next().unwrap_or_default();
    match status {
        "0" if why.is_empty() => {}
        "0" => {
            return SeenProperty::unknown(format!(
                "what sshd -T prints may not be what the running server does: {why}"
            ));
        }
        "none" => return SeenProperty::unknown("the host has no sshd to ask (OpenSSH's server)"),
        "" => return SeenProperty::unknown("sshd's answer is missing"),
        status => {
            let said = complaints(output);
            let said = first_line(&said);
            return SeenProperty::unknown(format!(
                "sshd -T, which is root's to run, ended with status {status}: {said}"
            ));
        }
    }
    let keyword = property.replace('-', "");
    let formerly = FORMERLY.iter().find(|(now, _)| *now == keyword).map(|(_, then)| *then);
    let mut values = values(output, &keyword);
    if values.is_empty() {
        values = formerly.map(|then| self::values(output, then)).unwrap_or_default();
    }
    if let Some(divide) = divider(&keyword) {
        let elements = values.iter().flat_map(|value| divide(value)).filter(|e| !e.is_empty());
        return SeenProperty::Value(elements.collect::<Vec<_>>().into());
    }
    match values.first() {
        // The word of sshd_config(5); sshd prints its older name.
        Some(&"without-password") if keyword == "permitrootlogin" && !asks_for(check, "without-password") => {
            SeenProperty::Value(json!("prohibit-password"))
        }
        Some(value) => SeenProperty::Value(json!(value)),
        None => SeenProperty::Nothing(format!("this sshd does not print {keyword}")),
    }
}

type BlockDivider = fn(&str) -> Vec<&str>;

fn divider(keyword: &str) -> Option<BlockDivider> {
    if COMMAS.contains(&keyword) {
        Some(|value| value.split(',').collect())
    } else if BLANKS.contains(&keyword) {
        Some(|value| value.split_whitespace().collect())
    } else if LINES.contains(&keyword) {
        Some(|value| vec![value])
    } else {
        None
    }
}

fn values<'o>(output: &'o str, keyword: &str) -> Vec<&'o str> {
    let lines = output.lines().filter_map(|line| line.split_once(' ').or(Some((line, ""))));
    lines.filter(|(word, _)| *word == keyword).map(|(_, value)| value.trim()).collect()
}

fn asks_for(check: &Check, word: &str) -> bool {
    check.properties.iter().any(|p| p.matcher.to_json().to_string().contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::tests::{check, frame};

    const OUTPUT: &str = "port 22\nport 2222\npermitrootlogin without-password\nmaxauthtries 6\nciphers a,b\nauthorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\npubkeyacceptedkeytypes x,y\nbanner none\nhostkey /etc/ssh/a b\n";

    fn said(status: &str, why: &str, output: &str) -> String {
        format!("status {status}\nwhy {why}\nmatch \n{output}\nend 0")
    }

    fn see(property: &str, output: &str) -> SeenProperty {
        let check = check("sshd \"effective\" { permit-root-login = \"no\" }");
        observe(&check, property, &frame(&[("o", &said("0", "", output))]))
    }

    #[test]
    fn texts_and_lists() {
        for (property, wanted) in [
            ("permit-root-login", json!("prohibit-password")),
            ("max-auth-tries", json!("6")),
            ("ciphers", json!(["a", "b"])),
            ("port", json!(["22", "2222"])),
            ("authorized-keys-file", json!([".ssh/authorized_keys", ".ssh/authorized_keys2"])),
            ("pubkey-accepted-algorithms", json!(["x", "y"])),
            ("host-key", json!(["/etc/ssh/a b"])),
            ("allow-users", json!([])),
        ] {
            assert_eq!(see(property, OUTPUT), SeenProperty::Value(wanted), "{property}");
        }
        assert!(matches!(see("x11-forwarding", OUTPUT), SeenProperty::Nothing(_)));
    }

    #[test]
    fn spelling_is_free_and_mistakes_are_told() {
        let spelled = check("sshd \"x\" { PermitRootLogin = \"without-password\" }");
        assert_eq!(spelled.properties[0].name, "permit-root-login");
        let seen = observe(&spelled, "permit-root-login", &frame(&[("o", &said("0", "", OUTPUT))]));
        assert_eq!(seen, SeenProperty::Value(json!("without-password")));
        assert_eq!(check("sshd \"x\" { max_auth_tries = { le = 4 } }").properties[0].name, "max-auth-tries");
        assert_eq!(
            ask(&check("sshd \"x\" {\n match = \"user=a,addr=1\"\n ciphers = []\n}")),
            "ask_sshd 'user=a,addr=1'"
        );
    }

    #[test]
    fn a_server_that_does_not_answer_is_unknown() {
        let check = check("sshd \"x\" { ciphers = [] }");
        for output in [
            said("none", "", ""),
            said("255", "", "sshd: no hostkeys available -- exiting.\n"),
            said("0", "/etc/sysconfig/sshd gives the SSH server settings, and …", OUTPUT),
            said("0", "", OUTPUT).replace("end 0", ""),
            String::new(),
        ] {
            assert!(
                matches!(observe(&check, "ciphers", &frame(&[("o", &output)])), SeenProperty::Unknown(_)),
                "{output}"
            );
        }
    }
}
