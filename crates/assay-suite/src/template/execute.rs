//! Walks a template's tree and writes what it makes (Go: text/template, exec.go). It owns variables and their scopes,
//! fields, calls of functions, and a budget for all that is done; it refuses what Go refuses: a field of nothing, a key
//! that is missing, arguments that a function does not take.

use std::{
    cell::Cell,
    collections::HashMap,
    ops::Range,
    time::{Duration, Instant},
};

use super::{
    TemplateWorld, builtin,
    functions::{self, TemplateFunction},
    rendered::SourceMark,
    syntax::{
        BranchKind, ParsedTemplates, PipeCommand, TemplateBranch, TemplateExpr, TemplateNode, TemplatePipe,
        WrittenNumber,
    },
    value::{TemplateList, TemplateRoot, TemplateValue, show, type_of, weigh},
};

/// The longest output.
const MAX_OUTPUT: usize = 1 << 20;
/// All that a template may make and do, in bytes of values; a node that is executed counts as 64.
const BUDGET: usize = 128 << 20;
/// How often all loops together may go round.
const MAX_ITERATIONS: usize = 1_000_000;
/// The longest time; only for what the budget does not see.
const DEADLINE: Duration = Duration::from_secs(20);
/// How deep templates may call each other, and actions be executed within each other.
const MAX_DEPTH: usize = 200;

/// Why a template cannot be executed to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExecutionFailure {
    /// A key is missing.
    MissingKey(String),
    /// Anything else, in one line.
    Other(String),
}

impl From<String> for ExecutionFailure {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

impl From<&str> for ExecutionFailure {
    fn from(why: &str) -> Self {
        Self::Other(why.to_owned())
    }
}

/// What the execution made: text, and where in it each part of the source began.
pub(super) struct ExecutionOutput {
    pub text: String,
    pub pieces: Vec<(usize, SourceMark)>,
}

/// Executes the template `name`. On failure: where in the source, and why.
pub(super) fn execute(
    templates: &ParsedTemplates,
    name: &str,
    source: &str,
    world: &TemplateWorld,
) -> Result<ExecutionOutput, (Range<usize>, ExecutionFailure)> {
    let root = TemplateValue::Root(TemplateRoot { vars: world.vars.clone(), env: world.env.dict() });
    let mut run = TemplateRun {
        templates,
        source,
        world,
        functions: functions::all().map(|function| (function.name, function)).collect(),
        variables: vec![("$".to_owned(), root.clone())],
        depth: 0,
        begun: Instant::now(),
        spent: Cell::new(0),
        rounds: 0,
        at: 0..0,
        out: ExecutionOutput { text: String::new(), pieces: Vec::new() },
    };
    let result = match templates.by_name.get(name) {
        Some(nodes) => run.list(nodes, &root),
        None => Ok(ControlFlow::On),
    };
    match result {
        Ok(_) => Ok(run.out),
        Err(failure) => Err((run.at, failure)),
    }
}

/// How it goes on after a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ControlFlow {
    On,
    Break,
    Continue,
}

type EvaluatedPipe = Result<TemplateValue, ExecutionFailure>;

struct TemplateRun<'r> {
    templates: &'r ParsedTemplates,
    source: &'r str,
    world: &'r TemplateWorld,
    functions: HashMap<&'static str, &'static TemplateFunction>,
    variables: Vec<(String, TemplateValue)>,
    depth: usize,
    begun: Instant,
    spent: Cell<usize>,
    rounds: usize,
    /// The part of the source that is being executed.
    at: Range<usize>,
    out: ExecutionOutput,
}

impl<'r> TemplateRun<'r> {
    fn list(&mut self, nodes: &'r [TemplateNode], dot: &TemplateValue) -> Result<ControlFlow, ExecutionFailure> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("templates call each other too deeply".into());
        }
        let mut flow = ControlFlow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != ControlFlow::On {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, node: &'r TemplateNode, dot: &TemplateValue) -> Result<ControlFlow, ExecutionFailure> {
        match node {
            TemplateNode::Text(span) => {
                self.enter(span, true)?;
                self.write(&self.source[span.clone()])?;
            }
            TemplateNode::Action { source, pipe } => {
                self.enter(source, false)?;
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.spend(weigh(&value).ok_or_else(too_heavy)?)?;
                    let text = if value == TemplateValue::Nil { "<no value>".to_owned() } else { show(&value) };
                    self.write(&text)?;
                }
            }
            TemplateNode::Branch(branch) => {
                self.enter(&branch.source, false)?;
                let scope = self.variables.len();
                let flow = match branch.kind {
                    BranchKind::Range => self.range(branch, dot)?,
                    _ => self.condition(branch, dot)?,
                };
                self.variables.truncate(scope);
                return Ok(flow);
            }
            TemplateNode::Template { source, name, pipe } => {
                self.enter(source, false)?;
                let nodes = self.templates.by_name.get(name);
                let nodes = nodes.ok_or_else(|| format!("there is no template {name:?}"))?;
                let inner = match pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => TemplateValue::Nil,
                };
                // A template sees none of the variables of who calls it.
                let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), inner.clone())]);
                self.list(nodes, &inner)?;
                self.variables = outer;
            }
            TemplateNode::Break => return Ok(ControlFlow::Break),
            TemplateNode::Continue => return Ok(ControlFlow::Continue),
        }
        Ok(ControlFlow::On)
    }

    fn condition(&mut self, branch: &'r TemplateBranch, dot: &TemplateValue) -> Result<ControlFlow, ExecutionFailure> {
        let value = self.pipe(&branch.pipe, dot)?;
        match (value.is_true(), &branch.otherwise) {
            (true, _) if branch.kind == BranchKind::With => self.list(&branch.body, &value),
            (true, _) => self.list(&branch.body, dot),
            (false, Some(otherwise)) => self.list(otherwise, dot),
            (false, None) => Ok(ControlFlow::On),
        }
    }

    fn range(&mut self, branch: &'r TemplateBranch, dot: &TemplateValue) -> Result<ControlFlow, ExecutionFailure> {
        let value = self.pipe(&branch.pipe, dot)?;
        let rounds: Vec<(TemplateValue, TemplateValue)> = match &value {
            TemplateValue::Nil => Vec::new(),
            TemplateValue::Int(_) | TemplateValue::Int64(_) | TemplateValue::Uint(_)
                if branch.pipe.variables.len() > 1 =>
            {
                return Err(format!("a number ({}) gives one variable, not two", show(&value)).into());
            }
            TemplateValue::Int(count) | TemplateValue::Int64(count) => {
                let count = usize::try_from(*count).unwrap_or(0);
                return self.rounds(branch, dot, count, |at| {
                    let at = i64::try_from(at).unwrap_or(i64::MAX);
                    let element = if matches!(value, TemplateValue::Int(_)) {
                        TemplateValue::Int(at)
                    } else {
                        TemplateValue::Int64(at)
                    };
                    (TemplateValue::Nil, element)
                });
            }
            TemplateValue::Uint(count) => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                return self.rounds(branch, dot, count, |at| (TemplateValue::Nil, TemplateValue::Uint(at as u64)));
            }
            TemplateValue::List(TemplateList { items, .. }) => {
                let index = |at| TemplateValue::Int(i64::try_from(at).unwrap_or(i64::MAX));
                items.iter().enumerate().map(|(at, item)| (index(at), item.clone())).collect()
            }
            TemplateValue::Dict(dict) => dict.entries().into_iter().map(|(key, value)| (key.value(), value)).collect(),
            other => return Err(format!("range goes over a list, a dict or a number, not {}", type_of(other)).into()),
        };
        let count = rounds.len();
        self.rounds(branch, dot, count, |at| rounds[at].clone())
    }

    fn rounds(
        &mut self,
        branch: &'r TemplateBranch,
        dot: &TemplateValue,
        count: usize,
        round: impl Fn(usize) -> (TemplateValue, TemplateValue),
    ) -> Result<ControlFlow, ExecutionFailure> {
        if count == 0 {
            return branch.otherwise.as_ref().map_or(Ok(ControlFlow::On), |otherwise| self.list(otherwise, dot));
        }
        let scope = self.variables.len();
        for at in 0..count {
            self.rounds += 1;
            if self.rounds > MAX_ITERATIONS {
                return Err(too_much());
            }
            let (index, element) = round(at);
            let values = match branch.pipe.variables.len() {
                0 => Vec::new(),
                1 => vec![element.clone()],
                _ => vec![index, element.clone()],
            };
            for (name, value) in branch.pipe.variables.iter().zip(values) {
                self.assign(name, value)?;
            }
            let flow = self.list(&branch.body, &element)?;
            self.variables.truncate(scope);
            if flow == ControlFlow::Break {
                break;
            }
        }
        Ok(ControlFlow::On)
    }

    fn pipe(&mut self, pipe: &'r TemplatePipe, dot: &TemplateValue) -> EvaluatedPipe {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or(TemplateValue::Nil);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    /// `last`: what the command before it in the pipeline gave, which becomes the last argument.
    fn command(&mut self, command: &'r PipeCommand, dot: &TemplateValue, last: Option<TemplateValue>) -> EvaluatedPipe {
        let (first, rest) = command.words.split_first().ok_or("an empty command")?;
        if let TemplateExpr::Function(name) = first {
            return self.call(name, rest, dot, last);
        }
        if matches!(first, TemplateExpr::Nil) {
            return Err("nil is not a command".into());
        }
        if last.is_some() || !rest.is_empty() {
            return Err("only functions take arguments".into());
        }
        self.value(first, dot)
    }

    /// The value of an expression that takes no arguments.
    fn value(&mut self, expr: &'r TemplateExpr, dot: &TemplateValue) -> EvaluatedPipe {
        match expr {
            TemplateExpr::Dot => Ok(dot.clone()),
            TemplateExpr::Nil => Ok(TemplateValue::Nil),
            TemplateExpr::Bool(it) => Ok(TemplateValue::Bool(*it)),
            TemplateExpr::Number(WrittenNumber { float: Some(float), .. }) => Ok(TemplateValue::Float(*float)),
            TemplateExpr::Number(WrittenNumber { whole, .. }) => Ok(TemplateValue::Int(whole.unwrap_or(0))),
            TemplateExpr::Text(text) => Ok(TemplateValue::Text(text.clone())),
            TemplateExpr::Field(fields) => self.fields(dot.clone(), fields),
            TemplateExpr::Variable(name, fields) => {
                let value = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = value.ok_or_else(|| format!("there is no variable {name}"))?.1.clone();
                self.fields(value, fields)
            }
            TemplateExpr::Chain(inner, fields) => {
                let value = self.value(inner, dot)?;
                self.fields(value, fields)
            }
            TemplateExpr::Pipe(pipe) => self.pipe(pipe, dot),
            TemplateExpr::Function(name) => self.call(name, &[], dot, None),
        }
    }

    fn fields(&self, value: TemplateValue, fields: &[String]) -> EvaluatedPipe {
        fields.iter().try_fold(value, |value, name| self.field(&value, name))
    }

    fn field(&self, value: &TemplateValue, name: &str) -> EvaluatedPipe {
        match value {
            TemplateValue::Dict(dict) => dict.get(name).ok_or_else(|| ExecutionFailure::MissingKey(name.to_owned())),
            TemplateValue::Root(root) if name == "Vars" => Ok(TemplateValue::Dict(root.vars.clone())),
            TemplateValue::Root(root) if name == "Env" => Ok(TemplateValue::Dict(root.env.clone())),
            TemplateValue::Root(_) => Err(format!("there is no .{name}; templates see .Vars and .Env").into()),
            TemplateValue::Nil => {
                Err(format!("there is no entry {name:?}, because what should hold it is null").into())
            }
            other => Err(format!("{} has no entry {name:?}", type_of(other)).into()),
        }
    }

    fn call(
        &mut self,
        name: &str,
        words: &'r [TemplateExpr],
        dot: &TemplateValue,
        last: Option<TemplateValue>,
    ) -> EvaluatedPipe {
        if name == "and" || name == "or" {
            return self.short_circuit(name, words, dot, last);
        }
        let mut args = Vec::with_capacity(words.len() + 1);
        for (at, word) in words.iter().enumerate() {
            args.push(match word {
                // A constant has no type of its own: where an int is wanted, 3.0 is one.
                TemplateExpr::Number(WrittenNumber { whole: Some(whole), float: Some(_) })
                    if functions::wants_int(name, at) =>
                {
                    TemplateValue::Int(*whole)
                }
                word => self.value(word, dot)?,
            });
        }
        args.extend(last);
        self.spend(64)?;
        let value = match self.functions.get(name) {
            Some(function) => function.call(&args)?,
            None => builtin::call(name, &args, self.world)?,
        };
        self.spend(weigh(&value).ok_or_else(too_heavy)?)?;
        Ok(value)
    }

    /// `and` and `or` look at no more arguments than they need.
    fn short_circuit(
        &mut self,
        name: &str,
        words: &'r [TemplateExpr],
        dot: &TemplateValue,
        last: Option<TemplateValue>,
    ) -> EvaluatedPipe {
        if words.is_empty() && last.is_none() {
            return Err(format!("{name} takes at least 1 arguments, not 0").into());
        }
        let mut value = TemplateValue::Nil;
        for word in words {
            value = self.value(word, dot)?;
            if value.is_true() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn assign(&mut self, name: &str, value: TemplateValue) -> Result<(), ExecutionFailure> {
        let place = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        place.ok_or_else(|| format!("there is no variable {name}"))?.1 = value;
        Ok(())
    }

    fn enter(&mut self, source: &Range<usize>, plain: bool) -> Result<(), ExecutionFailure> {
        self.spend(64)?;
        self.at = source.clone();
        let mark = SourceMark { source: source.clone(), plain };
        let written = self.out.text.len();
        match self.out.pieces.last_mut() {
            Some(last) if last.0 == written => last.1 = mark,
            _ => self.out.pieces.push((written, mark)),
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), ExecutionFailure> {
        if self.out.text.len() + text.len() > MAX_OUTPUT {
            return Err("the rendered text is longer than 1 MiB".into());
        }
        self.out.text.push_str(text);
        Ok(())
    }

    fn spend(&self, amount: usize) -> Result<(), ExecutionFailure> {
        let spent = self.spent.get().saturating_add(amount);
        self.spent.set(spent);
        if spent > BUDGET || self.begun.elapsed() > DEADLINE { Err(too_much()) } else { Ok(()) }
    }
}

fn too_much() -> ExecutionFailure {
    "the template does too much".into()
}

/// The failure of a value that is too heavy.
fn too_heavy() -> ExecutionFailure {
    "makes a value of more than 1 MiB, or one nested more than 64 deep".into()
}
