//! The tree of a template with markers in it. It owns three changes: a marker before each node, Go's way of printing
//! at the end of each action that prints, and an assignment where Go's function would change a dict in place. It finds
//! functions that do not exist, as Go does while parsing.

use std::ops::Range;

use gotmpl::parse::{ActionNode, BranchNode, CommandNode, Expr, ListNode, Node, Number, PipeNode, Pos, SmolStr};

use super::{
    Mistake,
    functions::{self, BUILT_IN, LEFT_OUT, OUTSIDE},
    rendered::Mark,
};
use crate::suite::diagnostic::nearest;

/// The marker's function; gets the number of a mark.
pub(super) const AT: &str = "__at";
/// The function that prints.
pub(super) const OUT: &str = "__out";

/// What is made of a template's trees.
#[derive(Debug)]
pub(super) struct Instrument<'s> {
    source: &'s str,
    /// The marks, by number.
    pub marks: Vec<Mark>,
    /// Names that are no functions, and changes that would be lost.
    pub mistakes: Vec<Mistake>,
}

impl<'s> Instrument<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, marks: Vec::new(), mistakes: Vec::new() }
    }

    /// The list with everything added.
    pub(super) fn list(&mut self, list: &ListNode) -> ListNode {
        let mut nodes = Vec::with_capacity(list.nodes.len() * 2);
        for node in &list.nodes {
            self.node(node, &mut nodes);
        }
        ListNode { pos: list.pos, nodes }
    }

    fn node(&mut self, node: &Node, out: &mut Vec<Node>) {
        match node {
            Node::Text(text) => {
                self.mark(text.pos, self.text_span(text.pos.offset, &text.text), true, out);
                out.push(node.clone());
            }
            Node::Action(action) => {
                self.mark(action.pos, self.action_span(action.pos.offset), false, out);
                self.pipe(&action.pipe);
                out.extend(self.in_place(action));
                let mut action = action.clone();
                if action.pipe.decl.is_empty() {
                    action.pipe.commands.push(call(action.pos, OUT, Vec::new()));
                }
                out.push(Node::Action(action));
            }
            Node::If(branch) => {
                let branch = self.branch(branch, out);
                out.push(Node::If(branch));
            }
            Node::Range(branch) => {
                let branch = self.branch(branch, out);
                out.push(Node::Range(branch));
            }
            Node::With(branch) => {
                let branch = self.branch(branch, out);
                out.push(Node::With(branch));
            }
            Node::Template(template) => {
                self.mark(template.pos, self.action_span(template.pos.offset), false, out);
                template.pipe.iter().for_each(|pipe| self.pipe(pipe));
                out.push(node.clone());
            }
            Node::List(list) => out.push(Node::List(self.list(list))),
            Node::Define(_) | Node::Break(_) | Node::Continue(_) => out.push(node.clone()),
        }
    }

    fn branch(&mut self, branch: &BranchNode, out: &mut Vec<Node>) -> BranchNode {
        self.mark(branch.pos, self.action_span(branch.pos.offset), false, out);
        self.pipe(&branch.pipe);
        BranchNode {
            body: self.list(&branch.body),
            else_body: branch.else_body.as_ref().map(|list| self.list(list)),
            ..branch.clone()
        }
    }

    fn mark(&mut self, pos: Pos, source: Range<usize>, plain: bool, out: &mut Vec<Node>) {
        let number = i64::try_from(self.marks.len()).unwrap_or(i64::MAX);
        self.marks.push(Mark { source, plain });
        let pipe = PipeNode {
            pos,
            decl: Vec::new(),
            commands: vec![call(pos, AT, vec![Expr::Number(pos, Number::Int(number))])],
            is_assign: false,
        };
        out.push(Node::Action(ActionNode { pos, pipe }));
    }

    /// Where a text stands: gotmpl gives the place before what `-}}` trims away.
    fn text_span(&self, offset: usize, text: &str) -> Range<usize> {
        let rest = self.source.get(offset..).unwrap_or_default();
        let start = if rest.starts_with(text) { offset } else { offset + rest.len() - rest.trim_start().len() };
        start..(start + text.len()).min(self.source.len())
    }

    /// The whole of the action that `offset` stands in, braces included.
    fn action_span(&self, offset: usize) -> Range<usize> {
        let offset = offset.min(self.source.len());
        let before = self.source.get(..offset).unwrap_or_default();
        let after = self.source.get(offset..).unwrap_or_default();
        let start = if after.starts_with("{{") { offset } else { before.rfind("{{").unwrap_or(offset) };
        let end = after.find("}}").map_or(self.source.len(), |at| offset + at + 2);
        start..end
    }

    /// `set $d …` changes the dict that `$d` holds.
    fn in_place(&mut self, action: &ActionNode) -> Option<Node> {
        let [command] = action.pipe.commands.as_slice() else { return None };
        let Some(Expr::Identifier(_, name)) = command.args.first() else { return None };
        if !functions::IN_PLACE.contains(&name.as_str()) {
            return None;
        }
        match command.args.get(1) {
            Some(Expr::Variable(_, variable, fields)) if fields.is_empty() && variable != "$" => {
                let pipe = PipeNode { decl: vec![variable.clone()], is_assign: true, ..action.pipe.clone() };
                Some(Node::Action(ActionNode { pos: action.pos, pipe }))
            }
            _ => {
                if action.pipe.decl.first().is_some_and(|to| to == "$_") {
                    self.mistakes.push(Mistake {
                        span: self.action_span(action.pos.offset),
                        title: format!("{name} changes nothing here"),
                        help: Some(format!(
                            "only a variable's dict is changed in place: {{{{ $d := … }}}}{{{{ $_ := {name} $d … }}}}"
                        )),
                    });
                }
                None
            }
        }
    }

    fn pipe(&mut self, pipe: &PipeNode) {
        pipe.commands.iter().flat_map(|command| &command.args).for_each(|expr| self.expr(expr));
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Identifier(pos, name) => self.name(*pos, name),
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.expr(inner),
            _ => {}
        }
    }

    fn name(&mut self, pos: Pos, name: &SmolStr) {
        let known = || {
            functions::all()
                .map(|function| function.name)
                .chain(OUTSIDE.iter().copied())
                .chain(BUILT_IN.iter().copied())
        };
        if known().any(|known| known == name) {
            return;
        }
        let start = pos.offset.min(self.source.len());
        let span = start..(start + name.len()).min(self.source.len());
        let why =
            if LEFT_OUT.contains(&name.as_str()) { "Sprig's function {} is not supported" } else { "no function {}" };
        let help = match nearest(name, known()) {
            Some(near) => format!("did you mean {near}? The functions are listed in docs/templates.md"),
            None => format!("supported: {}", known().collect::<Vec<_>>().join(", ")),
        };
        self.mistakes.push(Mistake {
            span,
            title: why.replace("{}", &format!("{:?}", name.as_str())),
            help: Some(help),
        });
    }
}

fn call(pos: Pos, name: &'static str, args: Vec<Expr>) -> CommandNode {
    let identifier = Expr::Identifier(pos, SmolStr::new_static(name));
    CommandNode { pos, args: [identifier].into_iter().chain(args).collect() }
}
