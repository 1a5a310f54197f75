//! An HTTP request from the host, as goss makes it (goss, system/http.go; Go's net/http): what curl, Python or wget is
//! told. It owns the request; the reading of what comes back is `http_answer`'s.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{CONTENTS_KEPT, QuestionKind, http_answer, quote, text};
use assay_suite::Check;

/// Python's program as a variable of the script. It holds no single quote (a test looks).
const PYTHON: &str = concat!("PY='", include_str!("http.py"), "'\n");
/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[PYTHON, include_str!("http.sh")], ask, observe: http_answer::http, slow: true };

/// How many redirects are followed; Go gives up at the tenth.
const REDIRECTS: u32 = 9;
/// What a server is told that asks, where the suite says nothing else.
const AGENT: &str = concat!("assay/", env!("CARGO_PKG_VERSION"));

/// A check's parameters as a request.
pub(super) struct HttpCheck<'a> {
    url: &'a str,
    /// goss's `method`; GET where there is none.
    pub method: &'a str,
    body: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    /// Whether redirects are followed.
    pub follow: bool,
    insecure: bool,
    user: &'a str,
    password: &'a str,
    ca: &'a str,
    cert: &'a str,
    key: &'a str,
    proxy: &'a str,
}

impl<'a> HttpCheck<'a> {
    /// `None`: goss could not send this either.
    pub(super) fn of(check: &'a Check) -> Option<Self> {
        let word = |name| text(check, name).unwrap_or_default();
        let yes = |name| check.parameters.get(name).and_then(Value::as_bool).unwrap_or(false);
        let lines = check.parameters.get("request-headers").and_then(Value::as_array);
        let lines = lines.into_iter().flatten().filter_map(Value::as_str);
        let headers: Option<Vec<_>> = lines.map(|line| line.split_once(": ").filter(|(n, _)| is_token(n))).collect();
        let scheme = check.subject().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let method = text(check, "method").unwrap_or("GET");
        let controls = |text: &str| text.chars().any(char::is_control);
        let request = Self {
            url: check.subject(),
            method,
            body: word("request-body"),
            headers: headers?,
            follow: !yes("no-follow-redirects"),
            insecure: yes("allow-insecure"),
            user: word("username"),
            password: word("password"),
            ca: word("ca-file"),
            cert: word("cert-file"),
            key: word("key-file"),
            proxy: word("proxy"),
        };
        let words = [request.url, request.user, request.password, request.ca, request.cert, request.key, request.proxy];
        let sound = !words.into_iter().chain(request.headers.iter().map(|(_, v)| *v)).any(controls);
        let http = matches!(scheme.as_deref(), Some("http" | "https"));
        (http && sound && is_token(method)).then_some(request)
    }

    fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(header))
    }

    /// Whether an answer may come packed by gzip, which is unpacked without a word (Go, net/http Transport).
    pub(super) fn may_be_packed(&self) -> bool {
        self.method != "HEAD" && !self.has("Accept-Encoding") && !self.has("Range")
    }

    /// Go goes to the host itself by no proxy of the environment.
    fn is_local(&self) -> bool {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        host.starts_with("localhost") || host.starts_with("127.") || host.starts_with("[::1]")
    }

    /// A configuration file for curl(1).
    fn for_curl(&self, timeout: f64) -> String {
        let mut config = CurlConfig::default();
        for flag in ["silent", "globoff", "path-as-is", "http1.1"] {
            config.flag(flag);
        }
        config.word("url", self.url);
        config.word("proto", "=http,https");
        config.word("proto-redir", "=http,https");
        config.word("dump-header", "-");
        config.word("output", "/dev/stderr");
        config.word("write-out", "\n%{http_code} %{num_redirects}");
        config.word("max-time", &format!("{timeout:.3}"));
        if self.follow {
            config.flag("location");
            config.word("max-redirs", &REDIRECTS.to_string());
        }
        self.what_curl_sends(&mut config);
        self.whom_curl_trusts(&mut config);
        config.0
    }

    fn what_curl_sends(&self, config: &mut CurlConfig) {
        let sends = !self.body.is_empty() || matches!(self.method, "POST" | "PUT" | "PATCH");
        match self.method {
            "HEAD" => config.flag("head"),
            "GET" if !sends => {}
            // With this one curl does after a redirect what Go does: it goes on with GET.
            "POST" => {}
            method => config.word("request", method),
        }
        if sends && self.method != "HEAD" {
            config.word("data-raw", self.body);
        }
        // What curl would add and Go does not.
        for (name, value) in [("Accept", ""), ("Content-Type", ""), ("Expect", ""), ("Connection", " close")] {
            if !self.has(name) {
                config.word("header", &format!("{name}:{value}"));
            }
        }
        if !self.has("User-Agent") {
            config.word("user-agent", AGENT);
        }
        for (name, value) in &self.headers {
            let line = if value.trim().is_empty() { format!("{name};") } else { format!("{name}: {value}") };
            config.word("header", &line);
        }
        if !self.user.is_empty() || !self.password.is_empty() {
            config.word("user", &format!("{}:{}", self.user, self.password));
        }
    }

    fn whom_curl_trusts(&self, config: &mut CurlConfig) {
        if self.insecure {
            config.flag("insecure");
        }
        if !self.ca.is_empty() {
            config.word("cacert", self.ca);
            // These and no others: curl would also take the host's own, from a folder. This one holds no file.
            config.word("capath", "/sys/fs");
        }
        if !self.cert.is_empty() && !self.key.is_empty() {
            config.word("cert", self.cert);
            config.word("key", self.key);
        }
        if !self.proxy.is_empty() {
            config.word("proxy", self.proxy);
            config.word("noproxy", "");
        } else if self.is_local() {
            config.word("noproxy", "*");
        }
    }

    fn for_python(&self, timeout: f64) -> String {
        let mut headers = self.headers.clone();
        for (name, value) in [("User-Agent", AGENT), ("Connection", "close")] {
            if !self.has(name) {
                headers.push((name, value));
            }
        }
        let request = json!({
            "url": self.url, "method": self.method, "body": self.body, "headers": headers, "timeout": timeout,
            "follow": self.follow, "insecure": self.insecure, "user": self.user, "password": self.password,
            "ca": self.ca, "cert": self.cert, "key": self.key, "proxy": self.proxy, "direct": self.is_local(),
            "packed": self.may_be_packed(),
        });
        request.to_string()
    }

    /// The address, whether to follow, and options; an empty address where wget cannot do it, or not in secret.
    fn for_wget(&self) -> String {
        let secrets = [self.body, self.user, self.password, self.ca, self.cert, self.key, self.proxy];
        if self.method != "GET" || secrets.iter().any(|it| !it.is_empty()) || self.has("Authorization") {
            return "'' ''".to_owned();
        }
        let mut line = format!("{} '{}'", quote(self.url), if self.follow { "y" } else { "" });
        if self.insecure {
            line.push_str(" --no-check-certificate");
        }
        let agent = (!self.has("User-Agent")).then_some(("User-Agent", AGENT));
        for (name, value) in self.headers.iter().copied().chain(agent) {
            line.push_str(" --header ");
            line.push_str(&quote(&format!("{name}: {value}")));
        }
        line
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Lines of a configuration file: curl(1), option -K.
#[derive(Default)]
struct CurlConfig(String);

impl CurlConfig {
    fn flag(&mut self, name: &str) {
        self.0.push_str(name);
        self.0.push('\n');
    }

    fn word(&mut self, name: &str, value: &str) {
        let mut quoted = String::with_capacity(value.len());
        for c in value.chars() {
            match c {
                '\\' => quoted.push_str(r"\\"),
                '"' => quoted.push_str("\\\""),
                '\n' => quoted.push_str(r"\n"),
                '\r' => quoted.push_str(r"\r"),
                '\t' => quoted.push_str(r"\t"),
                '\x0b' => quoted.push_str(r"\v"),
                c => quoted.push(c),
            }
        }
        writeln!(self.0, "{name} = \"{quoted}\"").expect("writing to a String cannot fail");
    }
}

fn ask(check: &Check) -> String {
    let Some(request) = HttpCheck::of(check) else {
        return "begin; a='.x form'; answer".to_owned();
    };
    let timeout = check.timeout.as_secs_f64();
    let files = [request.ca, request.cert, request.key].join("\n");
    format!(
        "X={} Y={} K={}; ask_http {} {} {}",
        quote(&files),
        if request.may_be_packed() { "y" } else { "''" },
        CONTENTS_KEPT + 1,
        quote(&request.for_curl(timeout)),
        quote(&request.for_python(timeout)),
        request.for_wget()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_fits_into_quotes() {
        assert!(!include_str!("http.py").contains('\''));
    }

    #[test]
    fn curls_configuration_is_quoted() {
        let mut config = CurlConfig::default();
        config.word("data-raw", "a\"b\\c\nd\te");
        assert_eq!(config.0, "data-raw = \"a\\\"b\\\\c\\nd\\te\"\n");
        assert!(is_token("X-A.b~") && !is_token("") && !is_token("a b") && !is_token("a\n"));
    }
}
