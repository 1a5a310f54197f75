//! JUnit XML, as pytest, RSpec's formatter, JUnit and many others write it: `testcase` elements at any depth. It refuses document types, so that
//! no entity can be declared, and counts what stands in the file, never what its attributes sum up.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::ReportedTest;
use assay_model::{CheckOutcome, escape::escape_line};

/// Elements nested deeper than this are no report.
const MAX_DEPTH: usize = 32;
/// The longest text under an element that is kept.
const MAX_TEXT: usize = 8 << 10;

pub(super) fn read(report: &[u8]) -> Result<Vec<ReportedTest>, String> {
    let text = std::str::from_utf8(report).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text);
    let mut reading = JunitReader::default();
    loop {
        match reader.read_event().map_err(|e| broken(&e))? {
            Event::DocType(_) => return Err("it declares a document type, which no JUnit report needs".to_owned()),
            Event::Start(element) => reading.open(&element)?,
            Event::Empty(element) => {
                reading.open(&element)?;
                reading.close();
            }
            Event::End(_) => reading.close(),
            Event::Text(text) => reading.text(&text.decode().map_err(|e| broken(&e))?),
            Event::CData(text) => reading.text(&text.decode().map_err(|e| broken(&e))?),
            Event::GeneralRef(name) => reading.text(&reference(&name.decode().map_err(|e| broken(&e))?)),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
    if !reading.path.is_empty() {
        return Err(format!("it ends in the middle of <{}>", escape_line(&reading.path.join("/"))));
    }
    if !reading.is_report {
        return Err("it has no <testsuites> or <testsuite>".to_owned());
    }
    Ok(reading.tests)
}

fn broken(error: &dyn std::fmt::Display) -> String {
    format!("it is not XML: {}", escape_line(&error.to_string()))
}

/// The five entities that XML itself has, and characters by number; others stay as they are written.
fn reference(name: &str) -> String {
    let number = match name.strip_prefix('#') {
        Some(hex) if hex.starts_with('x') => u32::from_str_radix(&hex[1..], 16).ok(),
        Some(decimal) => decimal.parse().ok(),
        None => None,
    };
    match (name, number.and_then(char::from_u32)) {
        (_, Some(character)) => character.to_string(),
        ("lt", _) => "<".to_owned(),
        ("gt", _) => ">".to_owned(),
        ("amp", _) => "&".to_owned(),
        ("quot", _) => "\"".to_owned(),
        ("apos", _) => "'".to_owned(),
        _ => format!("&{name};"),
    }
}

/// A test case that is being read.
#[derive(Default)]
struct JunitCase {
    name: String,
    seconds: f64,
    outcome: Option<CheckOutcome>,
    message: String,
    text: String,
}

#[derive(Default)]
struct JunitReader {
    path: Vec<String>,
    is_report: bool,
    case: Option<JunitCase>,
    tests: Vec<ReportedTest>,
}

impl JunitReader {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        let name = String::from_utf8_lossy(element.local_name().as_ref()).into_owned();
        if self.path.len() >= MAX_DEPTH {
            return Err("its elements are nested too deep".to_owned());
        }
        self.is_report |= self.path.is_empty() && matches!(name.as_str(), "testsuites" | "testsuite");
        match (name.as_str(), &mut self.case) {
            ("testcase", None) => self.case = Some(case(element)?),
            ("testcase", Some(_)) => return Err("it has a <testcase> in a <testcase>".to_owned()),
            ("failure", Some(case)) => case.mark(CheckOutcome::Failed, element)?,
            ("error", Some(case)) => case.mark(CheckOutcome::Undecided, element)?,
            ("skipped", Some(case)) => case.mark(CheckOutcome::Skipped, element)?,
            _ => {}
        }
        self.path.push(name);
        Ok(())
    }

    fn close(&mut self) {
        if self.path.pop().as_deref() == Some("testcase")
            && let Some(case) = self.case.take()
        {
            self.tests.push(case.finish());
        }
    }

    fn text(&mut self, text: &str) {
        let telling = matches!(self.path.last().map(String::as_str), Some("failure" | "error" | "skipped"));
        if let (true, Some(case)) = (telling, &mut self.case)
            && case.text.len() < MAX_TEXT
        {
            case.text.extend(text.chars().take(MAX_TEXT));
        }
    }
}

impl JunitCase {
    /// The worst of what stands in it: a failure stays one, whatever follows (pytest adds an error for a failed tear-down).
    fn mark(&mut self, outcome: CheckOutcome, element: &BytesStart<'_>) -> Result<(), String> {
        let rank = |outcome: Option<CheckOutcome>| match outcome {
            Some(CheckOutcome::Failed) => 3,
            Some(CheckOutcome::Undecided) => 2,
            Some(CheckOutcome::Skipped) => 1,
            Some(CheckOutcome::Passed) | None => 0,
        };
        if rank(Some(outcome)) > rank(self.outcome) {
            self.outcome = Some(outcome);
            self.message = attribute(element, "message")?.unwrap_or_default();
        }
        Ok(())
    }

    fn finish(self) -> ReportedTest {
        let message = if self.message.trim().is_empty() { &self.text } else { &self.message };
        let outcome = self.outcome.unwrap_or(CheckOutcome::Passed);
        ReportedTest::new(&self.name, outcome, message, self.seconds)
    }
}

fn case(element: &BytesStart<'_>) -> Result<JunitCase, String> {
    let name = attribute(element, "name")?.ok_or("a <testcase> has no name")?;
    let name = match attribute(element, "classname")? {
        Some(class) if !class.is_empty() => format!("{class}::{name}"),
        _ => name,
    };
    let seconds = attribute(element, "time")?.and_then(|t| t.replace(',', "").parse().ok()).unwrap_or(0.0);
    Ok(JunitCase { name, seconds, ..JunitCase::default() })
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    match element.try_get_attribute(name).map_err(|e| broken(&e))? {
        Some(attribute) => {
            let version = quick_xml::XmlVersion::default();
            let value = attribute.normalized_value(version).map_err(|e| broken(&e))?;
            Ok(Some(value.chars().take(MAX_TEXT).collect()))
        }
        None => Ok(None),
    }
}
