//! A template's tokens into its tree (Go: text/template/parse, parse.go). It owns the grammar: which action ends which,
//! what a pipeline holds, which variables are known where. It refuses what Go refuses, at its line, and finds every
//! function that does not exist at once.

use std::{collections::HashMap, ops::Range};

use super::{
    TemplateMistake,
    functions::{self, BUILT_IN, LEFT_OUT, OUTSIDE},
    lex::{self, TemplateToken, TokenKind},
    literal,
    syntax::{BranchKind, ParsedTemplates, PipeCommand, TemplateBranch, TemplateExpr, TemplateNode, TemplatePipe},
    unparsable,
};
use crate::diagnostic::nearest;

/// How deep actions and parentheses may stand in each other.
const MAX_DEPTH: usize = 100;

/// Parses `source` as the template `name`.
pub(super) fn parse(source: &str, name: &str) -> Result<ParsedTemplates, Vec<TemplateMistake>> {
    let tokens = lex::tokens(source).map_err(|mistake| vec![mistake])?;
    let mut parser = TemplateParser {
        source,
        tokens,
        at: 0,
        templates: HashMap::new(),
        variables: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        mistakes: Vec::new(),
    };
    match parser.file().and_then(|whole| parser.define(name.to_owned(), whole, 0..0)) {
        Err(mistake) => Err(vec![mistake]),
        Ok(()) if !parser.mistakes.is_empty() => Err(parser.mistakes),
        Ok(()) => Ok(ParsedTemplates { by_name: parser.templates }),
    }
}

struct TemplateParser<'s> {
    source: &'s str,
    tokens: Vec<TemplateToken>,
    at: usize,
    templates: HashMap<String, Vec<TemplateNode>>,
    /// The variables that are known here.
    variables: Vec<String>,
    /// In how many `range` this stands.
    ranges: usize,
    depth: usize,
    /// Functions that do not exist.
    mistakes: Vec<TemplateMistake>,
}

/// What ended a list.
struct ListEnding {
    /// `end` or `else`.
    word: &'static str,
    /// The action that it stands in.
    source: Range<usize>,
}

type ParsedList<T> = Result<T, TemplateMistake>;

impl<'s> TemplateParser<'s> {
    /// The whole file.
    fn file(&mut self) -> ParsedList<Vec<TemplateNode>> {
        let mut nodes = Vec::new();
        while self.kind() != TokenKind::End {
            if let Some(ending) = self.node(&mut nodes, true)? {
                let title = format!("unexpected {{{{{}}}}}: nothing is open that it could belong to", ending.word);
                return Err(unparsable(ending.source, &title));
            }
        }
        Ok(nodes)
    }

    /// A list of nodes up to its `end` or `else`. `opened`: the action that it belongs to.
    fn list(&mut self, opened: &Range<usize>) -> ParsedList<(Vec<TemplateNode>, ListEnding)> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(unparsable(opened.clone(), "actions nested too deep"));
        }
        let mut nodes = Vec::new();
        while self.kind() != TokenKind::End {
            if let Some(ending) = self.node(&mut nodes, false)? {
                self.depth -= 1;
                return Ok((nodes, ending));
            }
        }
        Err(unparsable(opened.clone(), "unexpected end of the file: this has no {{end}}"))
    }

    /// A text or an action. `top`: definitions may stand here.
    fn node(&mut self, nodes: &mut Vec<TemplateNode>, top: bool) -> ParsedList<Option<ListEnding>> {
        let token = self.next();
        if token.kind == TokenKind::Text {
            nodes.push(TemplateNode::Text(token.span));
            return Ok(None);
        }
        let source = self.action_span(&token);
        self.skip_spaces();
        let word = if self.kind() == TokenKind::Keyword { self.text() } else { "" };
        if !word.is_empty() {
            self.at += 1;
        }
        match word {
            "" => nodes
                .push(TemplateNode::Action { pipe: self.pipeline("an action", TokenKind::Close, &source)?, source }),
            "define" if top => self.definition(&source)?,
            "define" => return Err(unparsable(source, "{{define}} stands outside of all other actions")),
            "if" => nodes.push(self.branch(BranchKind::If, source)?),
            "with" => nodes.push(self.branch(BranchKind::With, source)?),
            "range" => nodes.push(self.branch(BranchKind::Range, source)?),
            "template" => nodes.push(self.template(source)?),
            "block" => nodes.push(self.block(source)?),
            "break" | "continue" => {
                self.expect_close(word)?;
                if self.ranges == 0 {
                    return Err(unparsable(source, &format!("{{{{{word}}}}} outside of {{{{range}}}}")));
                }
                nodes.push(if word == "break" { TemplateNode::Break } else { TemplateNode::Continue });
            }
            "end" => {
                self.expect_close(word)?;
                return Ok(Some(ListEnding { word: "end", source }));
            }
            _ => {
                self.skip_spaces();
                // `else if` and `else with` stay in the tokens: they begin an action of their own.
                if !(self.kind() == TokenKind::Keyword && matches!(self.text(), "if" | "with")) {
                    self.expect_close(word)?;
                }
                return Ok(Some(ListEnding { word: "else", source }));
            }
        }
        Ok(None)
    }

    fn branch(&mut self, kind: BranchKind, source: Range<usize>) -> ParsedList<TemplateNode> {
        let known = self.variables.len();
        let context = match kind {
            BranchKind::If => "if",
            BranchKind::Range => "range",
            BranchKind::With => "with",
        };
        let pipe = self.pipeline(context, TokenKind::Close, &source)?;
        self.ranges += usize::from(kind == BranchKind::Range);
        let (body, ending) = self.list(&source)?;
        self.ranges -= usize::from(kind == BranchKind::Range);
        let otherwise = if ending.word == "else" { Some(self.otherwise(kind, &ending, &source)?) } else { None };
        self.variables.truncate(known);
        Ok(TemplateNode::Branch(TemplateBranch { kind, source, pipe, body, otherwise }))
    }

    /// What follows an `else`, with its `end`.
    fn otherwise(
        &mut self,
        kind: BranchKind,
        ending: &ListEnding,
        opened: &Range<usize>,
    ) -> ParsedList<Vec<TemplateNode>> {
        if self.kind() == TokenKind::Keyword {
            let fits = matches!((kind, self.text()), (BranchKind::If, "if") | (BranchKind::With, "with"));
            if !fits {
                return Err(unparsable(ending.source.clone(), "this {{else}} goes on with another action"));
            }
            self.at += 1;
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(unparsable(opened.clone(), "actions nested too deep"));
            }
            // Its own end is that of the whole.
            let inner = self.branch(kind, ending.source.clone())?;
            self.depth -= 1;
            return Ok(vec![inner]);
        }
        let (nodes, last) = self.list(opened)?;
        if last.word != "end" {
            return Err(unparsable(last.source, "a second {{else}}"));
        }
        Ok(nodes)
    }

    fn definition(&mut self, source: &Range<usize>) -> ParsedList<()> {
        let name = self.template_name(source)?;
        self.expect_close("define")?;
        let body = self.own_body("define", source)?;
        self.define(name, body, source.clone())
    }

    fn block(&mut self, source: Range<usize>) -> ParsedList<TemplateNode> {
        let name = self.template_name(&source)?;
        let pipe = self.pipeline("block", TokenKind::Close, &source)?;
        let body = self.own_body("block", &source)?;
        self.define(name.clone(), body, source.clone())?;
        Ok(TemplateNode::Template { source, name, pipe: Some(pipe) })
    }

    /// The body of a template of its own: no variable and no loop outside of it counts.
    fn own_body(&mut self, word: &str, source: &Range<usize>) -> ParsedList<Vec<TemplateNode>> {
        let outside = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, ending) = self.list(source)?;
        (self.variables, self.ranges) = (outside, ranges);
        if ending.word != "end" {
            return Err(unparsable(ending.source, &format!("unexpected {{{{else}}}} in {{{{{word}}}}}")));
        }
        Ok(body)
    }

    /// Adds a template. As in Go one may be given a second time only where one of the two is empty.
    fn define(&mut self, name: String, body: Vec<TemplateNode>, source: Range<usize>) -> ParsedList<()> {
        let is_empty = |nodes: &[TemplateNode]| {
            nodes
                .iter()
                .all(|node| matches!(node, TemplateNode::Text(span) if self.source[span.clone()].trim().is_empty()))
        };
        match self.templates.get(&name) {
            Some(first) if !is_empty(first) && !is_empty(&body) => {
                Err(unparsable(source, &format!("the template {name:?} is defined a second time")))
            }
            Some(first) if !is_empty(first) => Ok(()),
            _ => {
                self.templates.insert(name, body);
                Ok(())
            }
        }
    }

    fn template(&mut self, source: Range<usize>) -> ParsedList<TemplateNode> {
        let name = self.template_name(&source)?;
        self.skip_spaces();
        let pipe = match self.kind() {
            TokenKind::Close => {
                self.at += 1;
                None
            }
            _ => Some(self.pipeline("template", TokenKind::Close, &source)?),
        };
        Ok(TemplateNode::Template { source, name, pipe })
    }

    fn template_name(&mut self, source: &Range<usize>) -> ParsedList<String> {
        self.skip_spaces();
        let token = self.next();
        match token.kind {
            TokenKind::Quoted | TokenKind::Raw => self.literal(&token),
            _ => Err(unparsable(source.clone(), "a template's name is a text in quotes")),
        }
    }

    /// A pipeline with its end.
    fn pipeline(&mut self, context: &str, end: TokenKind, source: &Range<usize>) -> ParsedList<TemplatePipe> {
        let mut pipe = TemplatePipe { variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            self.skip_spaces();
            match self.kind() {
                kind if kind == end => break self.at += 1,
                TokenKind::Bool
                | TokenKind::Character
                | TokenKind::Dot
                | TokenKind::Field
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Nil
                | TokenKind::Raw
                | TokenKind::Quoted
                | TokenKind::Variable
                | TokenKind::LeftParen => {
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return Err(self.unexpected(context)),
            }
        }
        if pipe.commands.is_empty() {
            return Err(unparsable(source.clone(), &format!("missing value for {context}")));
        }
        let literal = |command: &PipeCommand| {
            matches!(
                command.words.first(),
                Some(
                    TemplateExpr::Bool(_)
                        | TemplateExpr::Dot
                        | TemplateExpr::Nil
                        | TemplateExpr::Number(_)
                        | TemplateExpr::Text(_)
                )
            )
        };
        if pipe.commands.iter().skip(1).any(literal) {
            return Err(unparsable(source.clone(), "behind a | there must be a function"));
        }
        Ok(pipe)
    }

    /// `$x :=`, `$x =`, `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut TemplatePipe, context: &str) -> ParsedList<()> {
        loop {
            self.skip_spaces();
            if self.kind() != TokenKind::Variable {
                return Ok(());
            }
            let start = self.at;
            let name = self.text().to_owned();
            self.at += 1;
            self.skip_spaces();
            match self.kind() {
                TokenKind::Assign | TokenKind::Declare => {
                    pipe.assigns = self.kind() == TokenKind::Assign;
                    self.at += 1;
                    self.declare(pipe, name, start)?;
                    return Ok(());
                }
                TokenKind::Other if self.text() == "," => {
                    self.at += 1;
                    if context != "range" || !pipe.variables.is_empty() {
                        return Err(self.wrong(start, &format!("too many variables in {context}")));
                    }
                    self.skip_spaces();
                    if self.kind() != TokenKind::Variable {
                        return Err(self.unexpected(context));
                    }
                    pipe.variables.push(name);
                }
                _ => {
                    // An argument, and no declaration. (`$a, $b` without a := cannot be one.)
                    self.at = start;
                    if let Some(first) = pipe.variables.pop() {
                        return Err(self.wrong(start, &format!("{first} is given no value")));
                    }
                    return Ok(());
                }
            }
        }
    }

    /// The names left of `:=` or `=`: the former makes them known, the latter wants them known.
    fn declare(&mut self, pipe: &mut TemplatePipe, last: String, start: usize) -> ParsedList<()> {
        pipe.variables.push(last);
        for name in &pipe.variables {
            if !pipe.assigns {
                self.variables.push(name.clone());
            } else if !self.variables.contains(name) {
                return Err(self.wrong(start, &format!("there is no variable {name}; {name} := declares it")));
            }
        }
        Ok(())
    }

    /// A command up to its `|`, which is taken, or to what ends the pipeline, which is not.
    fn command(&mut self) -> ParsedList<PipeCommand> {
        let mut words = Vec::new();
        loop {
            self.skip_spaces();
            words.extend(self.operand()?);
            match self.kind() {
                TokenKind::Space => continue,
                TokenKind::Close | TokenKind::RightParen => {}
                TokenKind::Pipe => self.at += 1,
                _ => return Err(self.unexpected("an operand")),
            }
            break;
        }
        if words.is_empty() { Err(self.unexpected("a command")) } else { Ok(PipeCommand { words }) }
    }

    /// A term and its fields; `None`: the next token begins none.
    fn operand(&mut self) -> ParsedList<Option<TemplateExpr>> {
        let start = self.at;
        let Some(term) = self.term()? else { return Ok(None) };
        let mut fields = Vec::new();
        while self.kind() == TokenKind::Field {
            fields.push(self.text()[1..].to_owned());
            self.at += 1;
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        Ok(Some(match term {
            TemplateExpr::Field(first) => TemplateExpr::Field(first.into_iter().chain(fields).collect()),
            TemplateExpr::Variable(name, first) => {
                TemplateExpr::Variable(name, first.into_iter().chain(fields).collect())
            }
            TemplateExpr::Pipe(_) | TemplateExpr::Function(_) | TemplateExpr::Chain(..) => {
                TemplateExpr::Chain(Box::new(term), fields)
            }
            TemplateExpr::Dot
            | TemplateExpr::Nil
            | TemplateExpr::Bool(_)
            | TemplateExpr::Number(_)
            | TemplateExpr::Text(_) => {
                return Err(self.wrong(start, "this has no fields"));
            }
        }))
    }

    fn term(&mut self) -> ParsedList<Option<TemplateExpr>> {
        let token = self.next();
        let text = &self.source[token.span.clone()];
        Ok(Some(match token.kind {
            TokenKind::Identifier => {
                self.check_function(&token);
                TemplateExpr::Function(text.to_owned())
            }
            TokenKind::Dot => TemplateExpr::Dot,
            TokenKind::Nil => TemplateExpr::Nil,
            TokenKind::Bool => TemplateExpr::Bool(text == "true"),
            TokenKind::Field => TemplateExpr::Field(vec![text[1..].to_owned()]),
            TokenKind::Variable => {
                if !self.variables.iter().any(|known| known == text) {
                    return Err(unparsable(token.span, &format!("there is no variable {text} here")));
                }
                TemplateExpr::Variable(text.to_owned(), Vec::new())
            }
            TokenKind::Number | TokenKind::Character => match literal::number(text) {
                Ok(number) => TemplateExpr::Number(number),
                Err(why) => return Err(unparsable(token.span, &why)),
            },
            TokenKind::Quoted | TokenKind::Raw => TemplateExpr::Text(self.literal(&token)?.into()),
            TokenKind::LeftParen => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(unparsable(token.span, "parentheses nested too deep"));
                }
                let pipe = self.pipeline("parentheses", TokenKind::RightParen, &token.span)?;
                self.depth -= 1;
                TemplateExpr::Pipe(Box::new(pipe))
            }
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        }))
    }

    fn literal(&self, token: &TemplateToken) -> ParsedList<String> {
        literal::text(&self.source[token.span.clone()]).map_err(|why| unparsable(token.span.clone(), &why))
    }

    fn check_function(&mut self, token: &TemplateToken) {
        let name = &self.source[token.span.clone()];
        let known = || {
            functions::all()
                .map(|function| function.name)
                .chain(OUTSIDE.iter().copied())
                .chain(BUILT_IN.iter().copied())
        };
        if known().any(|known| known == name) {
            return;
        }
        let why = if LEFT_OUT.contains(&name) { "Sprig's function {} is not supported" } else { "no function {}" };
        let help = match nearest(name, known()) {
            Some(near) => format!("did you mean {near}? The functions are listed in docs/templates.md"),
            None => format!("supported: {}", known().collect::<Vec<_>>().join(", ")),
        };
        self.mistakes.push(TemplateMistake {
            span: token.span.clone(),
            title: why.replace("{}", &format!("{name:?}")),
            help: Some(help),
        });
    }

    fn expect_close(&mut self, context: &str) -> ParsedList<()> {
        self.skip_spaces();
        if self.kind() == TokenKind::Close {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected(context))
    }

    /// The whole of the action that `open` begins, braces included.
    fn action_span(&self, open: &TemplateToken) -> Range<usize> {
        let close = self.tokens[self.at..].iter().find(|token| matches!(token.kind, TokenKind::Close | TokenKind::End));
        open.span.start..close.map_or(self.source.len(), |close| close.span.end)
    }

    fn unexpected(&self, context: &str) -> TemplateMistake {
        let token = &self.tokens[self.at];
        let text = match token.kind {
            TokenKind::End => "the end of the file",
            _ => &self.source[token.span.clone()],
        };
        self.wrong(self.at, &format!("unexpected {text:?} in {context}"))
    }

    fn wrong(&self, token: usize, what: &str) -> TemplateMistake {
        unparsable(self.tokens[token].span.clone(), what)
    }

    fn skip_spaces(&mut self) {
        while self.kind() == TokenKind::Space {
            self.at += 1;
        }
    }

    fn kind(&self) -> TokenKind {
        self.tokens[self.at].kind
    }

    fn text(&self) -> &'s str {
        &self.source[self.tokens[self.at].span.clone()]
    }

    /// The next token; the last one, the end, is given again and again.
    fn next(&mut self) -> TemplateToken {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }
}
