//! A template as a tree: what [`super::parse`] makes and [`super::execute`] walks.

use std::{collections::HashMap, ops::Range, sync::Arc};

/// A template and those that are defined in it.
#[derive(Debug)]
pub(super) struct ParsedTemplates {
    /// By name; the whole file has the name that goss gives it.
    pub by_name: HashMap<String, Vec<TemplateNode>>,
}

/// A part of a template.
#[derive(Debug)]
pub(super) enum TemplateNode {
    /// Text that stands in the output as it is: these bytes of the source.
    Text(Range<usize>),
    /// `{{ pipeline }}`.
    Action {
        source: Range<usize>,
        pipe: TemplatePipe,
    },
    Branch(TemplateBranch),
    /// `{{ template "name" pipeline }}`.
    Template {
        source: Range<usize>,
        name: String,
        pipe: Option<TemplatePipe>,
    },
    Break,
    Continue,
}

/// Which of the three actions a branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BranchKind {
    If,
    Range,
    With,
}

/// `{{ if pipeline }} … {{ else }} … {{ end }}` and its likes.
#[derive(Debug)]
pub(super) struct TemplateBranch {
    pub kind: BranchKind,
    /// The action that begins it.
    pub source: Range<usize>,
    pub pipe: TemplatePipe,
    pub body: Vec<TemplateNode>,
    pub otherwise: Option<Vec<TemplateNode>>,
}

/// `$x := command | command`.
#[derive(Debug)]
pub(super) struct TemplatePipe {
    /// The variables, with their `$`; two only in `range`.
    pub variables: Vec<String>,
    /// `=`: they are there already.
    pub assigns: bool,
    /// At least one.
    pub commands: Vec<PipeCommand>,
}

/// A function or value and its arguments: at least one expression.
#[derive(Debug)]
pub(super) struct PipeCommand {
    pub words: Vec<TemplateExpr>,
}

/// An expression.
#[derive(Debug)]
pub(super) enum TemplateExpr {
    Dot,
    Nil,
    Bool(bool),
    Number(WrittenNumber),
    Text(Arc<str>),
    /// `.a.b`.
    Field(Vec<String>),
    /// `$a.b`.
    Variable(String, Vec<String>),
    /// `(pipeline).a.b` or `function.a.b`.
    Chain(Box<TemplateExpr>, Vec<String>),
    Pipe(Box<TemplatePipe>),
    Function(String),
}

/// A number as it is written. What it is depends on who takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrittenNumber {
    /// Its value as a whole number, where it is one: of `3.0` too.
    pub whole: Option<i64>,
    /// Its value as a floating number, where it is written as one.
    pub float: Option<f64>,
}
