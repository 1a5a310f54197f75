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
    World, builtin,
    functions::{self, Function},
    rendered::Mark,
    syntax::{Branch, BranchKind, Command, Expr, Node, Number, Pipe, Templates},
    value::{List, Root, Value, show, type_of, weigh},
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
pub(super) enum Failure {
    /// A key is missing.
    MissingKey(String),
    /// Anything else, in one line.
    Other(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

impl From<&str> for Failure {
    fn from(why: &str) -> Self {
        Self::Other(why.to_owned())
    }
}

/// What the execution made: text, and where in it each part of the source began.
pub(super) struct Made {
    pub text: String,
    pub pieces: Vec<(usize, Mark)>,
}

/// Executes the template `name`. On failure: where in the source, and why.
pub(super) fn execute(
    templates: &Templates,
    name: &str,
    source: &str,
    world: &World,
) -> Result<Made, (Range<usize>, Failure)> {
    let root = Value::Root(Root { vars: world.vars.clone(), env: world.env.dict() });
    let mut run = Run {
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
        out: Made { text: String::new(), pieces: Vec::new() },
    };
    let result = match templates.by_name.get(name) {
        Some(nodes) => run.list(nodes, &root),
        None => Ok(Flow::On),
    };
    match result {
        Ok(_) => Ok(run.out),
        Err(failure) => Err((run.at, failure)),
    }
}

/// How it goes on after a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

type Evaluated = Result<Value, Failure>;

struct Run<'r> {
    templates: &'r Templates,
    source: &'r str,
    world: &'r World,
    functions: HashMap<&'static str, &'static Function>,
    variables: Vec<(String, Value)>,
    depth: usize,
    begun: Instant,
    spent: Cell<usize>,
    rounds: usize,
    /// The part of the source that is being executed.
    at: Range<usize>,
    out: Made,
}

impl<'r> Run<'r> {
    fn list(&mut self, nodes: &'r [Node], dot: &Value) -> Result<Flow, Failure> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("templates call each other too deeply".into());
        }
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, node: &'r Node, dot: &Value) -> Result<Flow, Failure> {
        match node {
            Node::Text(span) => {
                self.enter(span, true)?;
                self.write(&self.source[span.clone()])?;
            }
            Node::Action { source, pipe } => {
                self.enter(source, false)?;
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.spend(weigh(&value).ok_or_else(too_heavy)?)?;
                    let text = if value == Value::Nil { "<no value>".to_owned() } else { show(&value) };
                    self.write(&text)?;
                }
            }
            Node::Branch(branch) => {
                self.enter(&branch.source, false)?;
                let scope = self.variables.len();
                let flow = match branch.kind {
                    BranchKind::Range => self.range(branch, dot)?,
                    _ => self.condition(branch, dot)?,
                };
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Template { source, name, pipe } => {
                self.enter(source, false)?;
                let nodes = self.templates.by_name.get(name);
                let nodes = nodes.ok_or_else(|| format!("there is no template {name:?}"))?;
                let inner = match pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Nil,
                };
                // A template sees none of the variables of who calls it.
                let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), inner.clone())]);
                self.list(nodes, &inner)?;
                self.variables = outer;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn condition(&mut self, branch: &'r Branch, dot: &Value) -> Result<Flow, Failure> {
        let value = self.pipe(&branch.pipe, dot)?;
        match (value.is_true(), &branch.otherwise) {
            (true, _) if branch.kind == BranchKind::With => self.list(&branch.body, &value),
            (true, _) => self.list(&branch.body, dot),
            (false, Some(otherwise)) => self.list(otherwise, dot),
            (false, None) => Ok(Flow::On),
        }
    }

    fn range(&mut self, branch: &'r Branch, dot: &Value) -> Result<Flow, Failure> {
        let value = self.pipe(&branch.pipe, dot)?;
        let rounds: Vec<(Value, Value)> = match &value {
            Value::Nil => Vec::new(),
            Value::Int(_) | Value::Int64(_) | Value::Uint(_) if branch.pipe.variables.len() > 1 => {
                return Err(format!("a number ({}) gives one variable, not two", show(&value)).into());
            }
            Value::Int(count) | Value::Int64(count) => {
                let count = usize::try_from(*count).unwrap_or(0);
                return self.rounds(branch, dot, count, |at| {
                    let at = i64::try_from(at).unwrap_or(i64::MAX);
                    let element = if matches!(value, Value::Int(_)) { Value::Int(at) } else { Value::Int64(at) };
                    (Value::Nil, element)
                });
            }
            Value::Uint(count) => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                return self.rounds(branch, dot, count, |at| (Value::Nil, Value::Uint(at as u64)));
            }
            Value::List(List { items, .. }) => {
                let index = |at| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                items.iter().enumerate().map(|(at, item)| (index(at), item.clone())).collect()
            }
            Value::Dict(dict) => dict.entries().into_iter().map(|(key, value)| (key.value(), value)).collect(),
            other => return Err(format!("range goes over a list, a dict or a number, not {}", type_of(other)).into()),
        };
        let count = rounds.len();
        self.rounds(branch, dot, count, |at| rounds[at].clone())
    }

    fn rounds(
        &mut self,
        branch: &'r Branch,
        dot: &Value,
        count: usize,
        round: impl Fn(usize) -> (Value, Value),
    ) -> Result<Flow, Failure> {
        if count == 0 {
            return branch.otherwise.as_ref().map_or(Ok(Flow::On), |otherwise| self.list(otherwise, dot));
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
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipe(&mut self, pipe: &'r Pipe, dot: &Value) -> Evaluated {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or(Value::Nil);
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
    fn command(&mut self, command: &'r Command, dot: &Value, last: Option<Value>) -> Evaluated {
        let (first, rest) = command.words.split_first().ok_or("an empty command")?;
        if let Expr::Function(name) = first {
            return self.call(name, rest, dot, last);
        }
        if matches!(first, Expr::Nil) {
            return Err("nil is not a command".into());
        }
        if last.is_some() || !rest.is_empty() {
            return Err("only functions take arguments".into());
        }
        self.value(first, dot)
    }

    /// The value of an expression that takes no arguments.
    fn value(&mut self, expr: &'r Expr, dot: &Value) -> Evaluated {
        match expr {
            Expr::Dot => Ok(dot.clone()),
            Expr::Nil => Ok(Value::Nil),
            Expr::Bool(it) => Ok(Value::Bool(*it)),
            Expr::Number(Number { float: Some(float), .. }) => Ok(Value::Float(*float)),
            Expr::Number(Number { whole, .. }) => Ok(Value::Int(whole.unwrap_or(0))),
            Expr::Text(text) => Ok(Value::Text(text.clone())),
            Expr::Field(fields) => self.fields(dot.clone(), fields),
            Expr::Variable(name, fields) => {
                let value = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = value.ok_or_else(|| format!("there is no variable {name}"))?.1.clone();
                self.fields(value, fields)
            }
            Expr::Chain(inner, fields) => {
                let value = self.value(inner, dot)?;
                self.fields(value, fields)
            }
            Expr::Pipe(pipe) => self.pipe(pipe, dot),
            Expr::Function(name) => self.call(name, &[], dot, None),
        }
    }

    fn fields(&self, value: Value, fields: &[String]) -> Evaluated {
        fields.iter().try_fold(value, |value, name| self.field(&value, name))
    }

    fn field(&self, value: &Value, name: &str) -> Evaluated {
        match value {
            Value::Dict(dict) => dict.get(name).ok_or_else(|| Failure::MissingKey(name.to_owned())),
            Value::Root(root) if name == "Vars" => Ok(Value::Dict(root.vars.clone())),
            Value::Root(root) if name == "Env" => Ok(Value::Dict(root.env.clone())),
            Value::Root(_) => Err(format!("there is no .{name}; templates see .Vars and .Env").into()),
            Value::Nil => Err(format!("there is no entry {name:?}, because what should hold it is null").into()),
            other => Err(format!("{} has no entry {name:?}", type_of(other)).into()),
        }
    }

    fn call(&mut self, name: &str, words: &'r [Expr], dot: &Value, last: Option<Value>) -> Evaluated {
        if name == "and" || name == "or" {
            return self.short_circuit(name, words, dot, last);
        }
        let mut args = Vec::with_capacity(words.len() + 1);
        for (at, word) in words.iter().enumerate() {
            args.push(match word {
                // A constant has no type of its own: where an int is wanted, 3.0 is one.
                Expr::Number(Number { whole: Some(whole), float: Some(_) }) if functions::wants_int(name, at) => {
                    Value::Int(*whole)
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
    fn short_circuit(&mut self, name: &str, words: &'r [Expr], dot: &Value, last: Option<Value>) -> Evaluated {
        if words.is_empty() && last.is_none() {
            return Err(format!("{name} takes at least 1 arguments, not 0").into());
        }
        let mut value = Value::Nil;
        for word in words {
            value = self.value(word, dot)?;
            if value.is_true() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn assign(&mut self, name: &str, value: Value) -> Result<(), Failure> {
        let place = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        place.ok_or_else(|| format!("there is no variable {name}"))?.1 = value;
        Ok(())
    }

    fn enter(&mut self, source: &Range<usize>, plain: bool) -> Result<(), Failure> {
        self.spend(64)?;
        self.at = source.clone();
        let mark = Mark { source: source.clone(), plain };
        let written = self.out.text.len();
        match self.out.pieces.last_mut() {
            Some(last) if last.0 == written => last.1 = mark,
            _ => self.out.pieces.push((written, mark)),
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        if self.out.text.len() + text.len() > MAX_OUTPUT {
            return Err("the rendered text is longer than 1 MiB".into());
        }
        self.out.text.push_str(text);
        Ok(())
    }

    fn spend(&self, amount: usize) -> Result<(), Failure> {
        let spent = self.spent.get().saturating_add(amount);
        self.spent.set(spent);
        if spent > BUDGET || self.begun.elapsed() > DEADLINE { Err(too_much()) } else { Ok(()) }
    }
}

fn too_much() -> Failure {
    "the template does too much".into()
}

/// The failure of a value that is too heavy.
fn too_heavy() -> Failure {
    "makes a value of more than 1 MiB, or one nested more than 64 deep".into()
}
