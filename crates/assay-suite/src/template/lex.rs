//! A template's text into tokens (Go: text/template/parse, lex.go). It owns delimiters, trimming, comments and what an
//! identifier, a number or a quoted text looks like; it refuses, at its place, what Go refuses.

use std::ops::Range;

use super::TemplateMistake;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Text outside of actions; its range is what is left after trimming.
    Text,
    /// `{{`, with the mark that trims the text before it.
    Open,
    /// `}}`, with the mark that trims the text after it.
    Close,
    Space,
    Identifier,
    Keyword,
    /// `.name`.
    Field,
    /// `$` or `$name`.
    Variable,
    Dot,
    Bool,
    Nil,
    Number,
    /// `'a'`.
    Character,
    /// `"…"`.
    Quoted,
    /// `` `…` ``.
    Raw,
    Pipe,
    LeftParen,
    RightParen,
    /// `=`.
    Assign,
    /// `:=`.
    Declare,
    /// Another character, as a comma.
    Other,
    End,
}

/// A token and the bytes that it was written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateToken {
    pub kind: TokenKind,
    pub span: Range<usize>,
}

const KEYWORDS: [&str; 10] = ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Reads all tokens; the last is [`TokenKind::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<TemplateToken>, TemplateMistake> {
    let mut lexer = TemplateLexer { source, at: 0, tokens: Vec::new(), parens: 0 };
    let mut trim = false;
    loop {
        let open = source[lexer.at..].find("{{").map(|found| lexer.at + found);
        let trimmed = open.is_some_and(|open| trims_left(&source[open + 2..]));
        lexer.text(open.unwrap_or(source.len()), trim, trimmed);
        let Some(open) = open else { break };
        lexer.at = open;
        trim = lexer.action(trimmed)?;
    }
    lexer.push(TokenKind::End, source.len());
    Ok(lexer.tokens)
}

struct TemplateLexer<'s> {
    source: &'s str,
    at: usize,
    tokens: Vec<TemplateToken>,
    parens: usize,
}

impl TemplateLexer<'_> {
    fn text(&mut self, end: usize, trim_start: bool, trim_end: bool) {
        let (mut start, mut text) = (self.at, &self.source[self.at..end]);
        if trim_start {
            start += text.len() - text.trim_start_matches(SPACES).len();
            text = text.trim_start_matches(SPACES);
        }
        if trim_end {
            text = text.trim_end_matches(SPACES);
        }
        if !text.is_empty() {
            self.tokens.push(TemplateToken { kind: TokenKind::Text, span: start..start + text.len() });
        }
        self.at = end;
    }

    /// An action or a comment, from its `{{` on. Whether the text after it is trimmed.
    fn action(&mut self, trimmed: bool) -> Result<bool, TemplateMistake> {
        let start = self.at;
        self.at += if trimmed { 3 } else { 2 };
        // After the mark there is a blank, which Go passes over only where a comment follows at once.
        let rest = &self.source[self.at..];
        let comment = if trimmed { rest.get(1..).unwrap_or_default() } else { rest };
        if comment.starts_with("/*") {
            self.at += usize::from(trimmed);
            return self.comment(start);
        }
        self.tokens.push(TemplateToken { kind: TokenKind::Open, span: start..self.at });
        self.parens = 0;
        loop {
            if let Some(trims) = self.close() {
                if self.parens > 0 {
                    return Err(self.wrong(start, "a parenthesis is not closed"));
                }
                let from = self.at;
                self.at += if trims { 4 } else { 2 };
                self.push(TokenKind::Close, from);
                return Ok(trims);
            }
            self.token(start)?;
        }
    }

    fn comment(&mut self, start: usize) -> Result<bool, TemplateMistake> {
        let Some(end) = self.source[self.at + 2..].find("*/") else {
            return Err(self.wrong(start, "a comment is not closed"));
        };
        self.at += end + 4;
        let Some(trims) = self.close() else {
            return Err(self.wrong(start, "a comment is the whole of its action: {{/* like this */}}"));
        };
        self.at += if trims { 4 } else { 2 };
        Ok(trims)
    }

    /// Whether the action ends here, and if so whether it trims what follows.
    fn close(&self) -> Option<bool> {
        let rest = &self.source[self.at..];
        let trims = rest.strip_prefix(SPACES).is_some_and(|rest| rest.starts_with("-}}"));
        (trims || rest.starts_with("}}")).then_some(trims)
    }

    fn token(&mut self, action: usize) -> Result<(), TemplateMistake> {
        let from = self.at;
        let Some(c) = self.peek() else { return Err(self.wrong(action, "an action is not closed: }} is missing")) };
        if SPACES.contains(&c) {
            self.spaces();
            return Ok(());
        }
        self.at += c.len_utf8();
        let next = self.peek();
        match c {
            '=' => self.push(TokenKind::Assign, from),
            ':' if next == Some('=') => {
                self.at += 1;
                self.push(TokenKind::Declare, from);
            }
            ':' => return Err(self.wrong(from, "a colon alone; := declares a variable")),
            '|' => self.push(TokenKind::Pipe, from),
            '"' => self.quoted(from, '"', TokenKind::Quoted)?,
            '\'' => self.quoted(from, '\'', TokenKind::Character)?,
            '`' => match self.source[self.at..].find('`') {
                Some(end) => {
                    self.at += end + 1;
                    self.push(TokenKind::Raw, from);
                }
                None => return Err(self.wrong(from, "a quoted text is not closed")),
            },
            '$' => self.name(from, TokenKind::Variable)?,
            '.' if !next.is_some_and(|c| c.is_ascii_digit()) => self.name(from, TokenKind::Field)?,
            '.' | '+' | '-' | '0'..='9' => self.number(from)?,
            '(' => {
                self.parens += 1;
                self.push(TokenKind::LeftParen, from);
            }
            ')' => {
                self.parens =
                    self.parens.checked_sub(1).ok_or_else(|| self.wrong(from, "a parenthesis that was not opened"))?;
                self.push(TokenKind::RightParen, from);
            }
            c if is_word(c) => self.word(from)?,
            c if c.is_ascii_graphic() => self.push(TokenKind::Other, from),
            c => return Err(self.wrong(from, &format!("the character {c:?} cannot stand in an action"))),
        }
        Ok(())
    }

    /// A run of blanks, but for the one that belongs to ` -}}`.
    fn spaces(&mut self) {
        let from = self.at;
        while self.peek().is_some_and(|c| SPACES.contains(&c)) {
            if self.close().is_some() {
                break;
            }
            self.at += 1;
        }
        if self.at > from {
            self.push(TokenKind::Space, from);
        }
    }

    /// `"…"` or `'…'`, from behind the first mark.
    fn quoted(&mut self, from: usize, mark: char, kind: TokenKind) -> Result<(), TemplateMistake> {
        loop {
            let c = self.peek().filter(|c| *c != '\n');
            let c = c.ok_or_else(|| self.wrong(from, "a quoted text is not closed on its line"))?;
            self.at += c.len_utf8();
            if c == '\\' {
                match self.peek() {
                    Some(escaped) if escaped != '\n' => self.at += escaped.len_utf8(),
                    _ => return Err(self.wrong(from, "a quoted text is not closed on its line")),
                }
            } else if c == mark {
                self.push(kind, from);
                return Ok(());
            }
        }
    }

    /// `.name`, `.`, `$name` or `$`, from behind its mark.
    fn name(&mut self, from: usize, kind: TokenKind) -> Result<(), TemplateMistake> {
        let bare = self.ends();
        while !bare && self.peek().is_some_and(is_word) {
            self.at += self.peek().map_or(0, char::len_utf8);
        }
        if !self.ends() {
            return Err(self.bad_character());
        }
        self.push(if bare && kind == TokenKind::Field { TokenKind::Dot } else { kind }, from);
        Ok(())
    }

    fn word(&mut self, from: usize) -> Result<(), TemplateMistake> {
        while self.peek().is_some_and(is_word) {
            self.at += self.peek().map_or(0, char::len_utf8);
        }
        if !self.ends() {
            return Err(self.bad_character());
        }
        let kind = match &self.source[from..self.at] {
            "true" | "false" => TokenKind::Bool,
            "nil" => TokenKind::Nil,
            word if KEYWORDS.contains(&word) => TokenKind::Keyword,
            _ => TokenKind::Identifier,
        };
        self.push(kind, from);
        Ok(())
    }

    /// A number, roughly; the parser looks closer.
    fn number(&mut self, from: usize) -> Result<(), TemplateMistake> {
        let text = &self.source[from..];
        let mut end = 0;
        for (at, c) in text.char_indices() {
            let sign = (c == '+' || c == '-') && (at == 0 || is_exponent(&text[..at]));
            if !(sign || c == '.' || is_word(c)) {
                break;
            }
            end = at + c.len_utf8();
        }
        self.at = from + end;
        if self.peek().is_some_and(|c| c == '+' || c == '-') {
            return Err(self.wrong(from, "complex numbers are not supported"));
        }
        self.push(TokenKind::Number, from);
        Ok(())
    }

    /// Whether a name may end here.
    fn ends(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => SPACES.contains(&c) || self.source[self.at..].starts_with("}}"),
        }
    }

    fn bad_character(&self) -> TemplateMistake {
        let c = self.peek().unwrap_or_default();
        self.wrong(self.at, &format!("{c:?} cannot stand here"))
    }

    fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    fn push(&mut self, kind: TokenKind, from: usize) {
        self.tokens.push(TemplateToken { kind, span: from..self.at.max(from) });
    }

    fn wrong(&self, at: usize, what: &str) -> TemplateMistake {
        super::unparsable(at..(at + 1).min(self.source.len()), what)
    }
}

/// Whether what stands after `{{` trims the text before.
fn trims_left(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES))
}

/// Whether a sign may follow: `1e`, `0x1p`.
fn is_exponent(text: &str) -> bool {
    let hexadecimal = text.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
    if hexadecimal { text.ends_with(['p', 'P']) } else { text.ends_with(['e', 'E']) }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
