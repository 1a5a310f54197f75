//! Rendering one template within bounds: 1 MiB of output, values of at most 1 MiB, a budget for all work, and a
//! deadline as the last resort. It owns the functions that look outside; it refuses files beyond its reach and secrets.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gotmpl::{MissingKey, Template, TemplateError, Value, parse::ListNode};

use crate::suite::reach::Reach;

use super::{
    Environment, Mistake, Rendered, format,
    functions::{self, Function},
    instrument::{AT, Instrument, OUT},
    rendered::Mark,
    value::{map, show, weigh},
};

/// The longest output.
const MAX_OUTPUT: usize = 1 << 20;
/// All that a template may make and do, in bytes of values; a node that is executed counts as 64.
const BUDGET: u64 = 128 << 20;
/// Loops are also counted by gotmpl.
const MAX_ITERATIONS: u64 = 1_000_000;
/// The longest time; only for what the budget does not see.
const DEADLINE: Duration = Duration::from_secs(20);
/// The name of the whole template; Go's own name for it in goss.
const NAME: &str = "test";

/// What templates see.
#[derive(Debug)]
pub(in crate::suite) struct World {
    /// `.Vars`.
    pub vars: Value,
    /// `.Env`.
    pub env: Environment,
    /// Where `readFile`'s relative paths start from.
    pub base_dir: PathBuf,
    /// Which files may be read.
    pub reach: Arc<Reach>,
    /// The files that were read, for the digest: path as it was written, and text.
    pub read: Mutex<Vec<(String, String)>>,
}

/// What happens while a template is executed.
#[derive(Debug)]
struct Course {
    begun: Instant,
    spent: AtomicU64,
    written: AtomicUsize,
    /// The mark that is being executed.
    at: AtomicUsize,
    /// Where in the output marks began.
    pieces: Mutex<Vec<(usize, usize)>>,
}

impl Course {
    fn spend(&self, amount: usize) -> Result<(), TemplateError> {
        let spent = self.spent.fetch_add(amount as u64, Ordering::Relaxed);
        if spent > BUDGET || self.begun.elapsed() > DEADLINE {
            return Err(TemplateError::Exec("the template does too much".to_owned()));
        }
        Ok(())
    }

    fn enter(&self, mark: usize) -> Result<(), TemplateError> {
        self.spend(64)?;
        self.at.store(mark, Ordering::Relaxed);
        let written = self.written.load(Ordering::Relaxed);
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        match pieces.last_mut() {
            Some(last) if last.0 == written => last.1 = mark,
            _ => pieces.push((written, mark)),
        }
        Ok(())
    }

    /// A function's value, where it is not too heavy.
    fn weighed(&self, value: Value) -> Result<Value, TemplateError> {
        let weight = weigh(&value).ok_or_else(too_heavy)?;
        self.spend(weight)?;
        Ok(value)
    }
}

/// The mistake of a value that is too heavy.
pub(super) fn too_heavy() -> TemplateError {
    TemplateError::Exec("makes a value of more than 1 MiB, or one nested more than 64 deep".to_owned())
}

/// The output, counted.
struct Output<'c> {
    text: String,
    course: &'c Course,
}

impl std::fmt::Write for Output<'_> {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        if self.text.len() + part.len() > MAX_OUTPUT {
            return Err(std::fmt::Error);
        }
        self.text.push_str(part);
        self.course.written.store(self.text.len(), Ordering::Relaxed);
        Ok(())
    }
}

/// Renders `source`. Fails with every mistake that can be found without executing, or with the first one met there.
pub(in crate::suite) fn render(source: &str, world: &Arc<World>) -> Result<Rendered, Vec<Mistake>> {
    if !source.contains("{{") {
        return Ok(Rendered::plain(source));
    }
    // Names, definitions and syntax are judged by the crate itself; only then markers are put in.
    let parsed = Template::new(NAME).parse(source).map_err(|error| vec![unparsable(source, &error)])?;
    let mut instrument = Instrument::new(source);
    let mut names: Vec<String> = parsed.templates().into_iter().map(str::to_owned).collect();
    if !names.iter().any(|name| name == NAME) {
        names.push(NAME.to_owned());
    }
    let trees = names.into_iter().filter_map(|name| Some((instrument.list(parsed.lookup(&name)?), name)));
    let trees: Vec<(ListNode, String)> = trees.collect();
    if !instrument.mistakes.is_empty() {
        instrument.mistakes.sort_by_key(|mistake| mistake.span.start);
        return Err(instrument.mistakes);
    }
    execute(trees, &instrument.marks, world)
}

fn execute(trees: Vec<(ListNode, String)>, marks: &[Mark], world: &Arc<World>) -> Result<Rendered, Vec<Mistake>> {
    let course = Arc::new(Course {
        begun: Instant::now(),
        spent: AtomicU64::new(0),
        written: AtomicUsize::new(0),
        at: AtomicUsize::new(0),
        pieces: Mutex::new(Vec::new()),
    });
    let mut template = with_functions(Template::new(NAME), world, &course);
    for (tree, name) in trees {
        template = template.add_parse_tree(&name, tree);
    }
    let data = map([("Vars".into(), world.vars.clone()), ("Env".into(), world.env.value())].into());
    let mut output = Output { text: String::new(), course: &course };
    if template.lookup(NAME).is_some() {
        template.execute_template_fmt(&mut output, NAME, &data).map_err(|error| {
            let mark = marks.get(course.at.load(Ordering::Relaxed));
            vec![failed(mark.map_or(0..0, |mark| mark.source.clone()), &error, world)]
        })?;
    }
    let text = output.text;
    let pieces = course.pieces.lock().unwrap_or_else(PoisonError::into_inner);
    let pieces = pieces.iter().filter_map(|(start, mark)| Some((*start, marks.get(*mark)?.clone()))).collect();
    Ok(Rendered { text, pieces })
}

fn unparsable(source: &str, error: &TemplateError) -> Mistake {
    let (line, column, message) = match error {
        TemplateError::Parse { line, col, message, .. } | TemplateError::Lex { line, col, message, .. } => {
            (*line, *col, message.clone())
        }
        other => (1, 1, other.to_string()),
    };
    let before: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = source.get(before..).unwrap_or_default();
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(0, |(at, _)| at);
    let help = "goss files are Go templates; to write {{ itself: {{ \"{{\" }}";
    Mistake {
        span: before + within..before + within + 1,
        title: format!("this template cannot be parsed: {message}"),
        help: Some(help.to_owned()),
    }
}

fn failed(span: std::ops::Range<usize>, error: &TemplateError, world: &World) -> Mistake {
    let (title, help) = match error {
        TemplateError::MissingKey { key } if world.env.hides(key) => (world.env.withheld(key), None),
        TemplateError::MissingKey { key } => (
            format!("there is no entry {key:?}"),
            Some(format!(
                "give it by --vars or --vars-inline; where it may be missing: {{{{ get .Vars {key:?} | default \"…\" }}}}"
            )),
        ),
        TemplateError::Write => ("the rendered text is longer than 1 MiB".to_owned(), None),
        TemplateError::RecursionLimit => ("templates call each other too deeply".to_owned(), None),
        TemplateError::RangeIterLimit => ("the template does too much".to_owned(), None),
        TemplateError::Exec(message) => (message.clone(), None),
        other => (other.to_string(), None),
    };
    let help = help.or_else(|| match title {
        _ if title.contains("looks like a secret") => Some(SECRETS.to_owned()),
        _ if title.contains("is not given to templates") => Some(UNNAMED.to_owned()),
        _ => None,
    });
    Mistake { span, title, help }
}

const UNNAMED: &str =
    "name it in assay.hcl, suites { env = [\"…\"] }, or on the command line with --env; see docs/templates.md";
const SECRETS: &str = "what a suite says is sent to the prober and stands in reports; see docs/templates.md";

/// Registers everything that a template may call.
fn with_functions(mut template: Template, world: &Arc<World>, course: &Arc<Course>) -> Template {
    template = template.missing_key(MissingKey::Error).max_range_iters(MAX_ITERATIONS);
    for function in functions::all() {
        let course = course.clone();
        template = template.func(function.name, move |args| course.weighed(called(function, args)?));
    }
    for name in ["printf", "print", "println", "html", "js", "urlquery"] {
        let course = course.clone();
        template = template.func(name, move |args| course.weighed(format::formatted(name, args)?));
    }
    let (here, seen) = (course.clone(), world.clone());
    template = template.func("index", move |args| here.weighed(indexed(args, &seen.env)?));
    for name in functions::OUTSIDE {
        let (course, world) = (course.clone(), world.clone());
        template = template.func(name, move |args| {
            let value = outside(name, args, &world).map_err(|why| TemplateError::Exec(format!("{name}: {why}")))?;
            course.weighed(value)
        });
    }
    let here = course.clone();
    template = template.func(AT, move |args| {
        let mark = args.first().and_then(Value::as_int).and_then(|mark| usize::try_from(mark).ok());
        here.enter(mark.unwrap_or(0)).map(|()| "".into())
    });
    let here = course.clone();
    template.func(OUT, move |args| match args {
        [nothing @ Value::Nil] => Ok(nothing.clone()),
        [value] => {
            weigh(value).ok_or_else(too_heavy).and_then(|weight| here.spend(weight)).map(|()| show(value).into())
        }
        _ => Ok(Value::Nil),
    })
}

fn called(function: &Function, args: &[Value]) -> Result<Value, TemplateError> {
    let Function { name, least, most, body } = *function;
    if !(least..=most).contains(&args.len()) {
        let wanted = match (least, most) {
            (least, most) if least == most => least.to_string(),
            (least, usize::MAX) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        return Err(TemplateError::Exec(format!("{name} takes {wanted} arguments, not {}", args.len())));
    }
    body(args).map_err(|why| TemplateError::Exec(format!("{name}: {why}")))
}

/// `index`; what the environment lacks is an empty text, as in Go, where it is a map of texts.
fn indexed(args: &[Value], env: &Environment) -> Result<Value, TemplateError> {
    let (first, keys) =
        args.split_first().ok_or_else(|| TemplateError::Exec("index takes at least 1 arguments, not 0".to_owned()))?;
    if let ([Value::String(name)], true) = (keys, env.is_it(first)) {
        return env.get(name).map_err(TemplateError::Exec);
    }
    keys.iter().try_fold(first.clone(), |value, key| value.index(key))
}

fn outside(name: &str, args: &[Value], world: &World) -> functions::Answer {
    let texts: Option<Vec<&str>> = args.iter().map(Value::as_str).collect();
    match (name, texts.as_deref()) {
        ("readFile", Some([path])) => read_file(path, world),
        ("expandenv", Some([text])) => world.env.expand(text).map(Into::into),
        ("env", Some([variable])) => world.env.get(variable),
        ("getEnv", Some([variable, default @ ..])) => match (world.env.get(variable)?, default.first()) {
            (value, Some(default)) if value.as_str() == Some("") => Ok((*default).into()),
            (value, _) => Ok(value),
        },
        _ => Err("takes texts: one, or for getEnv a default too".to_owned()),
    }
}

/// goss cuts white space at both ends.
fn read_file(path: &str, world: &World) -> functions::Answer {
    let text =
        world.reach.read_tracked(&world.base_dir.join(Path::new(path))).map_err(|why| format!("{path:?}: {why}"))?;
    let value = text.trim().into();
    world.read.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), text));
    Ok(value)
}
