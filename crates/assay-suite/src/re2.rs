//! Go's regular expressions (RE2's syntax, package `regexp/syntax`) on the `regex` crate. Most of the syntax is the
//! same; where it differs, the text is rewritten: `\d`, `\w`, `\s`, `\b` are ASCII in Go and Unicode in the crate, `\<`
//! is a plain character in Go, `\Q…\E` and octal escapes are unknown to the crate, and in Go a `{` that begins no count
//! is itself, like a `[` or `&&` within a class. What Go refuses is refused.

use std::{cell::RefCell, iter::Peekable, str::Chars};

use regex::bytes::{Regex, RegexBuilder};

/// Go's limit of `{n,m}`, and of such counts within each other.
const MAX_COUNT: u32 = 1000;
/// How deep groups may stand in each other.
const MAX_DEPTH: usize = 200;
/// A compiled expression larger than this is refused: `\pL{1000}` is allowed in Go and takes some MB here.
const MAX_BYTES: usize = 32 << 20;
/// The same where groups are asked for.
const MAX_BYTES_WITH_GROUPS: usize = 1 << 20;

thread_local! {
    /// The expression compiled last: one demand is often put to many elements in turn.
    static LAST: RefCell<Option<(String, Regex)>> = const { RefCell::new(None) };
}

/// Compiles a regular expression as Go would read it. The error is one line.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let known = LAST.with_borrow(|last| last.as_ref().filter(|(text, _)| text == pattern).map(|(_, r)| r.clone()));
    if let Some(regex) = known {
        return Ok(regex);
    }
    let regex = compiled(pattern)?;
    LAST.set(Some((pattern.to_owned(), regex.clone())));
    Ok(regex)
}

/// The same, with groups that can be asked for, on texts. What it may take is less: templates compile anew at each call.
pub(super) fn compile_with_groups(pattern: &str) -> Result<regex::Regex, String> {
    let text = translate(pattern, true)?;
    regex::RegexBuilder::new(&text).size_limit(MAX_BYTES_WITH_GROUPS).build().map_err(|error| told(&error))
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    let text = translate(pattern, false)?;
    RegexBuilder::new(&text).size_limit(MAX_BYTES).build().map_err(|error| told(&error))
}

fn told(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "too large when compiled".to_owned(),
        other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    }
}

/// Go's syntax into the crate's.
fn translate(pattern: &str, groups: bool) -> Result<String, String> {
    let mut it = Re2Translation {
        captures: groups,
        names: Vec::new(),
        rest: pattern.chars().peekable(),
        out: String::new(),
        groups: vec![1],
        before: 1,
        last: BeforeRepetition::Nothing,
    };
    while let Some(c) = it.rest.next() {
        it.one(c)?;
    }
    if it.groups.len() > 1 { Err("missing closing )".to_owned()) } else { Ok(it.out) }
}

/// What stands before a repetition.
#[derive(Clone, Copy, PartialEq)]
enum BeforeRepetition {
    Nothing,
    Atom,
    Repetition,
}

struct Re2Translation<'p> {
    /// Whether groups capture.
    captures: bool,
    /// The names of groups so far; Go takes one twice, but which would be asked for?
    names: Vec<String>,
    rest: Peekable<Chars<'p>>,
    out: String,
    /// For each open group, and everything at last: how often its most repeated part stands in it.
    groups: Vec<u32>,
    /// The same of what stands before.
    before: u32,
    last: BeforeRepetition,
}

impl Re2Translation<'_> {
    fn one(&mut self, c: char) -> Result<(), String> {
        match c {
            '(' => return self.open(),
            ')' => {
                let inner = self.groups.pop().filter(|_| !self.groups.is_empty()).ok_or("unexpected )")?;
                self.atom(")");
                self.repeated(inner);
            }
            '|' => {
                self.out.push('|');
                self.last = BeforeRepetition::Nothing;
            }
            '*' | '+' | '?' => return self.repeat(&c.to_string(), 1),
            '{' => match self.count()? {
                Some((count, times)) => return self.repeat(&count, times),
                None => self.atom("\\{"),
            },
            '[' => {
                let class = self.class()?;
                self.atom(&class);
            }
            '\\' => return self.escape(),
            '^' | '$' | '.' => self.atom(&c.to_string()),
            other => self.literal(other),
        }
        Ok(())
    }

    fn atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.last = BeforeRepetition::Atom;
        self.before = 1;
    }

    /// Notes how often the most repeated part of what was just read stands in it.
    fn repeated(&mut self, times: u32) {
        self.before = times;
        if let Some(group) = self.groups.last_mut() {
            *group = times.max(*group);
        }
    }

    fn literal(&mut self, c: char) {
        let mut buffer = [0; 4];
        let text = regex::escape(c.encode_utf8(&mut buffer));
        self.atom(&text);
    }

    /// A repetition of what stands before it, with the `?` that makes it lazy.
    fn repeat(&mut self, text: &str, times: u32) -> Result<(), String> {
        let lazy = self.rest.next_if_eq(&'?').is_some();
        match self.last {
            BeforeRepetition::Nothing => return Err(format!("missing argument to repetition operator: {text}")),
            BeforeRepetition::Repetition => return Err(format!("invalid nested repetition operator: {text}")),
            BeforeRepetition::Atom => {}
        }
        self.out.push_str(text);
        if lazy {
            self.out.push('?');
        }
        self.last = BeforeRepetition::Repetition;
        let all = self.before.saturating_mul(times.max(1));
        if all > MAX_COUNT && times > 1 {
            return Err(format!("invalid repeat count: {text}"));
        }
        self.repeated(all);
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}` after its brace, and how often that is at most (without an end: at least); `None`: a
    /// brace that is itself.
    fn count(&mut self) -> Result<Option<(String, u32)>, String> {
        let ahead: String = self.rest.clone().take_while(|c| *c != '}').take(40).collect();
        let (low, high) = match ahead.split_once(',') {
            None => (ahead.as_str(), Some(ahead.as_str())),
            Some((low, "")) => (low, None),
            Some((low, high)) => (low, Some(high)),
        };
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            plain && (text.len() == 1 || !text.starts_with('0'))
        };
        let closed = self.rest.clone().nth(ahead.chars().count()) == Some('}');
        if !closed || !number(low) || !high.is_none_or(number) {
            return Ok(None);
        }
        let value = |text: &str| text.parse::<u32>().ok().filter(|n| *n <= MAX_COUNT);
        let wrong = || format!("invalid repeat count: {{{ahead}}}");
        let least = value(low).ok_or_else(wrong)?;
        let most = high.map_or(Ok(least), |high| value(high).ok_or_else(wrong))?;
        if most < least {
            return Err(wrong());
        }
        self.rest.by_ref().take(ahead.chars().count() + 1).for_each(drop);
        Ok(Some((format!("{{{ahead}}}"), most)))
    }

    /// A group after its parenthesis.
    fn open(&mut self) -> Result<(), String> {
        self.groups.push(1);
        if self.groups.len() > MAX_DEPTH {
            return Err("groups nested too deep".to_owned());
        }
        self.last = BeforeRepetition::Nothing;
        if self.rest.next_if_eq(&'?').is_none() {
            self.out.push_str(if self.captures { "(" } else { "(?:" });
            return Ok(());
        }
        let ahead: String = self.rest.clone().take(2).collect();
        if ahead == "P<" || (ahead.starts_with('<') && ahead != "<=" && ahead != "<!") {
            let skipped = if ahead == "P<" { 2 } else { 1 };
            self.rest.by_ref().take(skipped).for_each(drop);
            let name: String = std::iter::from_fn(|| self.rest.next_if(|c| *c != '>')).collect();
            let word = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if self.rest.next() != Some('>') || !word {
                return Err(format!("invalid named capture: (?P<{name}"));
            }
            match self.captures {
                // The crate's names begin with a letter; Go's may begin with a digit, which nobody can tell apart here.
                true if name.starts_with(|c: char| c.is_ascii_digit()) => {
                    return Err(format!("a group's name begins with a letter here: {name}"));
                }
                true if self.names.contains(&name) => {
                    return Err(format!("two groups with one name cannot be told apart here: {name}"));
                }
                true => self.out.push_str(&format!("(?P<{name}>")),
                false => self.out.push_str("(?:"),
            }
            self.names.push(name);
            return Ok(());
        }
        self.flags()
    }

    /// `(?i-s:…` and `(?i)`.
    fn flags(&mut self) -> Result<(), String> {
        let (mut on, mut off) = (String::new(), String::new());
        let (mut negative, mut seen) = (false, false);
        loop {
            let c = self.rest.next().ok_or("missing closing )")?;
            match c {
                'i' | 'm' | 's' | 'U' => {
                    seen = true;
                    let (to, other) = if negative { (&mut off, &mut on) } else { (&mut on, &mut off) };
                    other.retain(|o| o != c);
                    // Greed decides nothing where it is only asked whether there is a match.
                    if (c != 'U' || self.captures) && !to.contains(c) {
                        to.push(c);
                    }
                }
                '-' if !negative => (negative, seen) = (true, false),
                ':' | ')' if !negative || seen => {
                    let minus = if off.is_empty() { String::new() } else { format!("-{off}") };
                    if c == ':' {
                        self.out.push_str(&format!("(?{on}{minus}:"));
                    } else {
                        self.groups.pop();
                        if !on.is_empty() || !off.is_empty() {
                            self.out.push_str(&format!("(?{on}{minus})"));
                        }
                    }
                    return Ok(());
                }
                other => return Err(format!("invalid or unsupported Perl syntax: (?…{other}")),
            }
        }
    }

    /// An escape outside of a class, after its backslash.
    fn escape(&mut self) -> Result<(), String> {
        let c = *self.rest.peek().ok_or("trailing backslash at end of expression")?;
        match c {
            'A' | 'z' => self.special(&format!("\\{c}")),
            'b' | 'B' => self.special(&format!("(?-u:\\{c})")),
            'Q' => {
                self.rest.next();
                self.quoted();
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.special(perl(c)),
            'p' | 'P' => {
                let class = self.unicode()?;
                self.atom(&class);
            }
            _ => {
                let c = self.character()?;
                self.literal(c);
            }
        }
        Ok(())
    }

    fn special(&mut self, text: &str) {
        self.rest.next();
        self.atom(text);
    }

    /// `\Q…`: everything to `\E` or the end is itself.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    /// `\pN`, `\p{Greek}`, `\p{^Greek}`, `\P…`, from its letter.
    fn unicode(&mut self) -> Result<String, String> {
        let mut negative = self.rest.next() == Some('P');
        let mut name = String::new();
        match self.rest.next() {
            Some('{') => {
                name = std::iter::from_fn(|| self.rest.next_if(|c| *c != '}')).collect();
                if self.rest.next().is_none() {
                    return Err(format!("invalid character class range: \\p{{{name}"));
                }
            }
            Some(c) => name.push(c),
            None => return Err("invalid character class range: \\p".to_owned()),
        }
        if let Some(rest) = name.strip_prefix('^') {
            negative = !negative;
            name = rest.to_owned();
        }
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_- ".contains(c)) {
            return Err(format!("invalid character class range: \\p{{{name}}}"));
        }
        Ok(format!("\\{}{{{name}}}", if negative { 'P' } else { 'p' }))
    }

    /// One character written as an escape, after its backslash.
    fn character(&mut self) -> Result<char, String> {
        let c = self.rest.next().ok_or("trailing backslash at end of expression")?;
        let wrong = || format!("invalid escape sequence: \\{c}");
        Ok(match c {
            '0'..='7' => {
                // A single digit from 1 to 7 would be a reference to a group, which RE2 does not have.
                if c != '0' && !self.rest.peek().is_some_and(|d| ('0'..='7').contains(d)) {
                    return Err(wrong());
                }
                let mut value = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.rest.next_if(|d| ('0'..='7').contains(d)) else { break };
                    value = value * 8 + digit.to_digit(8).unwrap_or(0);
                }
                char::from_u32(value).ok_or_else(wrong)?
            }
            'x' => self.hexadecimal().ok_or_else(wrong)?,
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => other,
            _ => return Err(wrong()),
        })
    }

    fn hexadecimal(&mut self) -> Option<char> {
        let digits: String = if self.rest.next_if_eq(&'{').is_some() {
            let digits = std::iter::from_fn(|| self.rest.next_if(char::is_ascii_hexdigit)).collect();
            self.rest.next_if_eq(&'}')?;
            digits
        } else {
            let digits: String = self.rest.by_ref().take(2).collect();
            Some(digits).filter(|digits| digits.chars().count() == 2)?
        };
        let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
        u32::from_str_radix(&digits, 16).ok().filter(|_| plain).and_then(char::from_u32)
    }

    /// A class after its bracket, rewritten whole.
    fn class(&mut self) -> Result<String, String> {
        let mut class = String::from("[");
        if self.rest.next_if_eq(&'^').is_some() {
            class.push('^');
        }
        let mut first = true;
        loop {
            let c = *self.rest.peek().ok_or("missing closing ]")?;
            if c == ']' && !first {
                self.rest.next();
                class.push(']');
                return Ok(class);
            }
            first = false;
            if let Some(named) = self.named()? {
                class.push_str(&named);
                continue;
            }
            let escaped = self.rest.clone().nth(1).filter(|_| c == '\\');
            match escaped {
                Some(letter @ ('d' | 'D' | 's' | 'S' | 'w' | 'W')) => {
                    self.rest.by_ref().take(2).for_each(drop);
                    class.push_str(perl(letter));
                }
                Some('p' | 'P') => {
                    self.rest.next();
                    class.push_str(&self.unicode()?);
                }
                _ => self.range(&mut class)?,
            }
        }
    }

    /// `[:alpha:]` within a class; a `[` that begins no name is itself.
    fn named(&mut self) -> Result<Option<String>, String> {
        let mut ahead = self.rest.clone();
        if (ahead.next(), ahead.next()) != (Some('['), Some(':')) {
            return Ok(None);
        }
        let rest: String = ahead.collect();
        let Some(end) = rest.find(":]") else { return Ok(None) };
        let name = &rest[..end];
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
            "word", "xdigit",
        ];
        if !NAMES.contains(&name.trim_start_matches('^')) || name.starts_with("^^") {
            return Err(format!("invalid character class range: [:{name}:]"));
        }
        self.rest.by_ref().take(name.chars().count() + 4).for_each(drop);
        Ok(Some(format!("[:{name}:]")))
    }

    fn range(&mut self, class: &mut String) -> Result<(), String> {
        let low = self.member()?;
        let mut high = low;
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            self.rest.next();
            high = self.member()?;
            if high < low {
                return Err(format!("invalid character class range: {low}-{high}"));
            }
        }
        class.push_str(&format!("\\x{{{:X}}}-\\x{{{:X}}}", u32::from(low), u32::from(high)));
        Ok(())
    }

    fn member(&mut self) -> Result<char, String> {
        match self.rest.next().ok_or("missing closing ]")? {
            '\\' => self.character(),
            c => Ok(c),
        }
    }
}

/// Perl's classes, which are ASCII in RE2 (and whose white space has no vertical tab).
fn perl(letter: char) -> &'static str {
    match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\f\\r ]",
        'S' => "[^\\t\\n\\f\\r ]",
        'w' => "[0-9A-Za-z_]",
        _ => "[^0-9A-Za-z_]",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_reads_otherwise() {
        for (pattern, text, held) in [
            (r"^\d+$", "१", false),
            (r"^\w$", "é", false),
            (r"^\s$", "\u{b}", false),
            (r"\bé", "aé", true),
            (r"\<x\>", "<x>", true),
            (r"^\Qa.b\E+$", "a.bbb", true),
            (r"\Qa.b", "axb", false),
            (r"a{,2}", "a{,2}", true),
            (r"^x{a}$", "x{a}", true),
            (r"^[[a&&b]+$", "[&ab", true),
            (r"^[a-c-e]+$", "-e", true),
            (r"^[]a]+$", "]a", true),
            (r"^\101\x42\x{43}$", "ABC", true),
            (r"^[\d\-x]+$", "1-x", true),
            (r"^[^[:alpha:]]$", "1", true),
            (r"(?i)^ab(?-i)c$", "ABc", true),
            (r"^\p{Greek}\P{^Greek}\pN$", "αβ1", true),
            ("a$", "a\n", false),
            ("a.b", "a\nb", false),
            ("(?s)a.b", "a\nb", true),
            ("(?m)^b$", "a\nb\nc", true),
            ("(?P<n>a)(?<m>b)", "ab", true),
            (r"[^\D]", "x5", true),
            ("^((a{10}b?){10}){10}$|x", "x", true),
        ] {
            let regex = compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            assert_eq!(regex.is_match(text.as_bytes()), held, "{pattern} on {text:?} became {regex}");
        }
    }

    #[test]
    fn what_go_refuses() {
        for pattern in [
            "(",
            ")",
            "[",
            "[]",
            "a**",
            "*a",
            "a{1001}",
            "a{2,1}",
            r"\1",
            r"\8",
            r"\C",
            r"\Z",
            r"\e",
            "(?x)a",
            "(?=a)",
            "(?<=a)",
            r"\",
            "[b-a]",
            "[[:nope:]]",
            r"\pX",
            "(?P<a-b>x)",
            "(?i",
            "x(?-)",
            r"\x{110000}",
            "[a",
            "a|*",
            r"\x4",
            r"\x",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
