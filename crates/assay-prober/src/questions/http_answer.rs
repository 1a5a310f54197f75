//! What came back of an HTTP request: the head of the last response, and its body, worded as goss words them (goss,
//! system/http.go). All of it comes from a server that may be anything, through a host that may be anything.

use super::{CONTENTS_KEPT, SeenProperty, first_line, http::HttpCheck, kept};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ResponseHead {
    status: u16,
    /// Names in Go's spelling, values without white space around them; in the order they came.
    headers: Vec<(String, String)>,
}

/// How a request ended.
enum RequestEnd<'a> {
    /// A response came, with all of its body, or of the body only what came in time.
    Answer { head: ResponseHead, whole: bool },
    /// None came: no connection, no trust, no end. That is what the check is about.
    Failure(&'a str),
    /// The host could not try.
    Unknown(String),
}

pub(super) fn http(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let Some(request) = HttpCheck::of(check) else {
        return SeenProperty::Nothing(
            "this is no request: http:// or https://, a method, and headers like \"Name: value\"".into(),
        );
    };
    let told = String::from_utf8_lossy(frame.bytes('h').unwrap_or_default()).into_owned();
    let ended = match frame.word('x') {
        Some(tool @ ("curl" | "python3")) => ended(&request, tool, frame.word('s').unwrap_or_default(), &told),
        Some("wget") => ended_wget(frame.word('s').unwrap_or_default(), &told),
        Some("none") => RequestEnd::Unknown(
            "the host has neither curl (7.43 or newer) nor python3, nor a wget that could make this request".into(),
        ),
        _ => RequestEnd::Unknown("the answer is missing".into()),
    };
    let (head, whole) = match ended {
        RequestEnd::Answer { head, whole } => (head, whole),
        RequestEnd::Failure(why) => return SeenProperty::Nothing(why.to_owned()),
        RequestEnd::Unknown(why) => return SeenProperty::unknown(why),
    };
    match property {
        "status" => SeenProperty::Value(head.status.into()),
        "headers" => SeenProperty::Value(lines(&head, request.may_be_packed()).into()),
        _ if frame.word('x') == Some("wget") && head.status >= 400 && frame.bytes('b').is_none_or(<[u8]>::is_empty) => {
            SeenProperty::unknown("the host has no curl, and its wget does not keep the body of an error")
        }
        // curl shows the head in the place of what is not there.
        _ if request.method == "HEAD" => SeenProperty::Value("".into()),
        _ if !whole => SeenProperty::Nothing("the body did not come to its end".into()),
        _ => kept(frame, 'b', CONTENTS_KEPT),
    }
}

/// curl's exit status (curl(1), EXIT CODES), which http.py takes over.
fn ended<'a>(request: &HttpCheck<'_>, tool: &str, status: &str, told: &str) -> RequestEnd<'a> {
    let (heads, summary) = told.rsplit_once('\n').unwrap_or(("", told));
    let heads = read_heads(heads.lines());
    let late = matches!(status, "28" | "124" | "137" | "143");
    match (status, heads.last()) {
        ("0" | "18" | "56" | "61" | "28" | "124" | "137" | "143", Some(head))
            if !is_passed_on(request, head, status) =>
        {
            let steps = heads.len() - 1;
            let renamed = steps > 0 && heads[..steps].iter().any(|h| matches!(h.status, 301..=303));
            let known = matches!(request.method, "GET" | "HEAD" | "POST");
            let redirected = summary.split(' ').nth(1).is_some_and(|count| count != "0");
            if tool == "curl" && request.follow && redirected && renamed && !known {
                return RequestEnd::Unknown(format!(
                    "curl repeats {} where goss goes on with GET after a redirect",
                    request.method
                ));
            }
            RequestEnd::Answer { head: head.clone(), whole: status == "0" }
        }
        _ if late => RequestEnd::Failure("no answer within its timeout"),
        ("0" | "18" | "61" | "52" | "56" | "55" | "8", _) => RequestEnd::Failure("the answer is no HTTP, or broke off"),
        ("1", _) => RequestEnd::Failure("it was redirected to something else than http or https"),
        ("3", _) => RequestEnd::Failure("the address is none"),
        ("5", _) => RequestEnd::Failure("the proxy's name cannot be resolved"),
        ("6", _) => RequestEnd::Failure("the host's name cannot be resolved"),
        ("7", _) => RequestEnd::Failure("no connection"),
        ("47", _) => RequestEnd::Failure("stopped after 10 redirects"),
        ("35" | "51" | "60" | "83" | "91", _) => {
            RequestEnd::Failure("TLS failed, or the server's certificate is not trusted")
        }
        ("58" | "77", _) => RequestEnd::Failure("ca-file, cert-file or key-file cannot be used"),
        (status, _) => RequestEnd::Unknown(format!("{tool} ended with status {status:.9}")),
    }
}

/// Whether the time was over on the way from one response to the next.
fn is_passed_on(request: &HttpCheck<'_>, head: &ResponseHead, status: &str) -> bool {
    let elsewhere = head.headers.iter().any(|(name, _)| name == "Location");
    status != "0" && request.follow && elsewhere && matches!(head.status, 301..=303 | 307 | 308)
}

/// GNU wget and busybox's show heads with two spaces before each line.
fn ended_wget<'a>(status: &str, told: &str) -> RequestEnd<'a> {
    let heads = read_heads(told.lines().map(|line| line.strip_prefix("  ").unwrap_or("")));
    match (status, heads.last()) {
        ("96", _) => RequestEnd::Unknown(
            "the host has neither curl nor python3, and busybox's wget follows every redirect".into(),
        ),
        ("97", _) => RequestEnd::Unknown(
            "the host has neither curl nor python3, and busybox's wget looks at no certificate".into(),
        ),
        ("124" | "137" | "143", _) => RequestEnd::Failure("no answer within its timeout"),
        ("0" | "1" | "8", Some(head)) => RequestEnd::Answer { head: head.clone(), whole: true },
        ("4", _) => RequestEnd::Failure("no connection"),
        ("5", _) => RequestEnd::Failure("TLS failed, or the server's certificate is not trusted"),
        _ => {
            let complaint = told.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("nothing");
            RequestEnd::Unknown(format!("wget ended with status {status:.9}: {}", first_line(complaint)))
        }
    }
}

/// The heads among `lines`: each begins with `HTTP/` and ends with an empty line. What stands outside of one (trailers)
/// is left out, and so are heads of the kind `100 Continue`.
fn read_heads<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<ResponseHead> {
    let mut all: Vec<ResponseHead> = Vec::new();
    let mut inside = false;
    for line in lines {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.starts_with("HTTP/") {
            let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).filter(|s| (100..1000).contains(s));
            inside = status.is_some();
            all.extend(status.map(|status| ResponseHead { status, headers: Vec::new() }));
        } else if line.is_empty() {
            inside = false;
        } else if let Some(head) = all.last_mut().filter(|_| inside) {
            match (line.starts_with([' ', '\t']), head.headers.last_mut(), line.split_once(':')) {
                (true, Some((_, value)), _) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                (false, _, Some((name, value))) => head.headers.push((spelled(name), value.trim().to_owned())),
                _ => {}
            }
        }
    }
    all.retain(|head| head.status >= 200 || head.status == 101);
    all
}

/// `content-TYPE` as `Content-Type` (Go, textproto.CanonicalMIMEHeaderKey).
fn spelled(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let c = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            upper = c == '-';
            c
        })
        .collect()
}

/// `Name: value`, sorted; without what Go takes away: the framing, and the traces of an unpacking nobody asked for.
fn lines(head: &ResponseHead, may_be_packed: bool) -> String {
    let packed = may_be_packed
        && head.headers.iter().any(|(name, value)| name == "Content-Encoding" && value.eq_ignore_ascii_case("gzip"));
    let gone = |name: &str| match name {
        "Transfer-Encoding" | "Trailer" => true,
        "Content-Encoding" | "Content-Length" => packed,
        _ => false,
    };
    let mut lines: Vec<String> =
        head.headers.iter().filter(|(name, _)| !gone(name)).map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_head_counts() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-TYPE:  text/plain \r\nX-Long: a\r\n  b\r\nTransfer-Encoding: chunked\r\nA: 1\r\n\r\nX-Trailer: no\r\n";
        let heads = read_heads(text.lines());
        assert_eq!(heads.iter().map(|h| h.status).collect::<Vec<_>>(), [302, 200]);
        assert_eq!(lines(&heads[1], true), "A: 1\nContent-Type: text/plain\nX-Long: a b");
        assert!(read_heads("HTTP/1.1\nHTTP/1.1 x\nA: 1\nHTTP/1.1 99999 x".lines()).is_empty());
    }

    #[test]
    fn unpacking_leaves_no_trace() {
        let head = &read_heads("HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: 5\nB: 2".lines())[0];
        assert_eq!(lines(head, true), "B: 2");
        assert_eq!(lines(head, false), "B: 2\nContent-Encoding: gzip\nContent-Length: 5");
    }
}
