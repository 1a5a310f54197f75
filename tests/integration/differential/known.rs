//! The differences that are known: `area<TAB>expression<TAB>example`, one a line. The expression says which cases are
//! meant; the example is one of them, which must differ.

use regex::Regex;

use crate::support::tools;

/// The known differences of one area.
#[derive(Debug)]
pub(super) struct Known(Vec<Line>);

#[derive(Debug)]
struct Line {
    expression: Regex,
    example: String,
}

impl Known {
    pub(super) fn of(area: &str) -> Self {
        let file = tools::root().join("tests/fixtures/goss/differential/known.tsv");
        let text = std::fs::read_to_string(&file).expect("the known differences");
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).filter_map(|line| {
            let [of, expression, example] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{}: three columns: {line}", file.display())
            };
            let expression = Regex::new(expression).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(expression.is_match(example), "the expression does not hold its own example: {line}");
            (of == area).then(|| Line { expression, example: example.to_owned() })
        });
        Self(lines.collect())
    }

    /// The examples.
    pub(super) fn examples(&self) -> Vec<String> {
        self.0.iter().map(|line| line.example.clone()).collect()
    }

    /// Whether a case is among those that may differ.
    pub(super) fn names(&self, case: &str) -> bool {
        self.0.iter().any(|line| line.expression.is_match(case))
    }

    /// The lines of which the example does not differ.
    pub(super) fn gone(&self, differs: impl Fn(&str) -> bool) -> Vec<&str> {
        self.0.iter().map(|line| line.example.as_str()).filter(|example| !differs(example)).collect()
    }
}
