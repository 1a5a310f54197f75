//! Who may sign: ssh-keygen(1)'s ALLOWED SIGNERS. It owns the reading, with every mistake at its line, and whether a key is trusted at a time; it
//! refuses certificate authorities by name, since a certificate would be trusted that nobody here has seen.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use ssh_key::{Algorithm, PublicKey, public::KeyData};

use super::{ALLOWED_SIGNERS_AT_MOST, NAMESPACE, verify::SignatureError};
use assay_model::escape::{bounded, escape_line};

/// The keys that may sign, in the order of their file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedSigners {
    file: String,
    entries: Vec<SignerEntry>,
}

/// A file that says nothing certain: every mistake, each with file and line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct AllowedSignersError(pub Vec<String>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct SignerEntry {
    line: usize,
    principals: String,
    key: KeyData,
    options: SignerOptions,
}

/// What may stand between principals and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SignerOptions {
    namespaces: Option<String>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

impl AllowedSigners {
    /// Reads a file's text. `file`: its name, for errors. Times without `Z` are of `zone`, as with ssh-keygen (there the system's).
    pub fn parse(text: &str, file: &str, zone: &TimeZone) -> Result<Self, AllowedSignersError> {
        if text.len() > ALLOWED_SIGNERS_AT_MOST {
            return Err(AllowedSignersError(vec![format!("{file}: is longer than {ALLOWED_SIGNERS_AT_MOST} bytes")]));
        }
        let mut entries = Vec::new();
        let mut mistakes = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match entry(line, number, zone) {
                Ok(entry) => entries.push(entry),
                Err(wrong) => mistakes.push(format!("{file} line {number}: {}", bounded(&escape_line(&wrong), 400))),
            }
        }
        let file = file.to_owned();
        if mistakes.is_empty() { Ok(Self { file, entries }) } else { Err(AllowedSignersError(mistakes)) }
    }

    /// Whether nobody may sign.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The principals of the first line that trusts `key` for evidence at `now`; where none does, what the first line with this key says.
    pub(super) fn trusted(&self, key: &KeyData, fingerprint: &str, now: Timestamp) -> Result<String, SignatureError> {
        let mut refused = None;
        for entry in self.entries.iter().filter(|entry| entry.key == *key) {
            match self.judge(entry, fingerprint, now) {
                Ok(()) => return Ok(entry.principals.clone()),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        Err(refused.unwrap_or_else(|| SignatureError::UnknownKey {
            fingerprint: fingerprint.to_owned(),
            file: self.file.clone(),
        }))
    }

    fn judge(&self, entry: &SignerEntry, fingerprint: &str, now: Timestamp) -> Result<(), SignatureError> {
        let (file, line, fingerprint) = (self.file.clone(), entry.line, fingerprint.to_owned());
        let options = &entry.options;
        if let Some(namespaces) = options.namespaces.as_ref().filter(|list| !matches(list, NAMESPACE)) {
            return Err(SignatureError::NotForEvidence { fingerprint, namespaces: namespaces.clone(), file, line });
        }
        if let Some(after) = options.valid_after.filter(|after| now < *after) {
            return Err(SignatureError::NotYetValid { fingerprint, after: after.to_string(), file, line });
        }
        if let Some(before) = options.valid_before.filter(|before| now > *before) {
            return Err(SignatureError::Expired { fingerprint, before: before.to_string(), file, line });
        }
        Ok(())
    }
}

/// `principals [options] keytype base64 [comment]`
fn entry(line: &str, number: usize, zone: &TimeZone) -> Result<SignerEntry, String> {
    if line.starts_with('@') {
        let marker = line.split_whitespace().next().unwrap_or_default();
        return Err(format!(
            "{marker} is a marker of known_hosts; to revoke a key, remove its line or set valid-before"
        ));
    }
    let (principals, rest) = word(line).ok_or("the quote at the start is not closed")?;
    let principals = principals.trim_matches('"').to_owned();
    if principals.split(',').all(|pattern| pattern.is_empty() || pattern.starts_with('!')) {
        return Err(format!("{principals:?} names nobody; expected principals like ci@example.com"));
    }
    let (first, after_first) = word(rest).ok_or("a quote is not closed")?;
    let (options, key) = match is_key_type(first) {
        true => (SignerOptions::default(), rest),
        false => (read_options(first, zone)?, after_first),
    };
    let missing = "expected: principals, options, key type and key, like ci@example.com ssh-ed25519 AAAA…";
    if key.split_whitespace().nth(1).is_none() {
        return Err(format!("there is no key; {missing}"));
    }
    // ssh-keygen takes any white space between type and key; the parser takes one space.
    let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let key = PublicKey::from_openssh(&key).map_err(|error| format!("the key cannot be read ({error}); {missing}"))?;
    Ok(SignerEntry { line: number, principals, key: key.key_data().clone(), options })
}

fn is_key_type(word: &str) -> bool {
    // Names with "@" would be read as somebody's own algorithm.
    word.parse::<Algorithm>().is_ok_and(|algorithm| !matches!(algorithm, Algorithm::Other(_)))
}

/// The first word, and what follows it. Spaces within double quotes belong to a word (sshd(8), AUTHORIZED_KEYS FILE FORMAT). `None`: a quote stays open.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return Some((&text[..at], text[at..].trim_start())),
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    (!quoted).then_some((text, ""))
}

fn read_options(text: &str, zone: &TimeZone) -> Result<SignerOptions, String> {
    let mut options = SignerOptions::default();
    for option in split_options(text) {
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let name = name.to_ascii_lowercase();
        let twice = || format!("{name} is given twice");
        match name.as_str() {
            "cert-authority" => {
                return Err("cert-authority is not supported: list the keys themselves, since a certificate would be trusted unseen".to_owned());
            }
            "namespaces" => {
                let list = unquoted(&name, value)?;
                options.namespaces.replace(list.to_owned()).map_or(Ok(()), |_| Err(twice()))?;
            }
            "valid-after" => {
                let at = time(&name, unquoted(&name, value)?, zone)?;
                options.valid_after.replace(at).map_or(Ok(()), |_| Err(twice()))?;
            }
            "valid-before" => {
                let at = time(&name, unquoted(&name, value)?, zone)?;
                options.valid_before.replace(at).map_or(Ok(()), |_| Err(twice()))?;
            }
            _ => {
                return Err(format!(
                    "{name:?} is neither a key type nor an option; options are namespaces, valid-after and valid-before"
                ));
            }
        }
    }
    if let (Some(after), Some(before)) = (options.valid_after, options.valid_before)
        && after >= before
    {
        return Err(format!("valid-after ({after}) is not before valid-before ({before})"));
    }
    Ok(options)
}

/// At commas outside of quotes.
fn split_options(text: &str) -> Vec<&str> {
    let mut quoted = false;
    text.split(|letter: char| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    })
    .collect()
}

/// ssh-keygen takes an option's value in double quotes only.
fn unquoted<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, String> {
    let inner = value.and_then(|value| value.strip_prefix('"')?.strip_suffix('"'));
    inner
        .filter(|inner| !inner.is_empty() && !inner.contains('"'))
        .ok_or_else(|| format!("{name} needs a value in double quotes, like {name}=\"…\""))
}

/// `YYYYMMDD[Z]` or `YYYYMMDDHHMM[SS][Z]`.
fn time(name: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong =
        || format!("{name}={text:?} is no time; expected YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with Z for UTC");
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (text, zone),
    };
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let padded = format!("{digits:0<14}");
    let civil = DateTime::strptime("%Y%m%d%H%M%S", &padded).map_err(|_| wrong())?;
    // 99991231 is the usual "never": the last days of that year are beyond what a timestamp holds in some zones.
    Ok(zone.to_timestamp(civil).unwrap_or(if civil.year() > 0 { Timestamp::MAX } else { Timestamp::MIN }))
}

/// Whether a pattern-list of ssh_config(5), PATTERNS, matches: `*`, `?`, and `!` before what must not match.
fn matches(list: &str, text: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if wild(negated.as_bytes(), text.as_bytes()) => return false,
            Some(_) => {}
            None => found |= wild(pattern.as_bytes(), text.as_bytes()),
        }
    }
    found
}

/// `*` and `?` against bytes, without backtracking further than the last star.
fn wild(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == b'?' || *letter == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, seen)) => {
                    star = Some((at, seen + 1));
                    p = at + 1;
                    t = seen + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}
