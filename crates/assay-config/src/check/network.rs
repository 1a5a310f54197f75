//! Where is launched: subnets, VPC and groups, by id or by filter. Names and meaning are packer-plugin-amazon's
//! (`builder/common/run_config.go`, `build_filter.go`): an id outweighs its filter.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::checker::OptionChecker;
use crate::settings::{ResourceFilters, SubnetFilter, SubnetPick};
use assay_model::Region;

/// EC2 takes so many values in one filter ("Filter" in the EC2 API reference).
const MOST_VALUES: usize = 200;

/// An id of `prefix` and hexadecimal digits.
pub(super) fn resource_id(text: &str, prefix: &str) -> Result<String, String> {
    let fits = text.strip_prefix(prefix).is_some_and(|rest| {
        (8..=17).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not an id; expected {prefix} and 8 to 17 hexadecimal digits, like {prefix}0abcdef1234567890"
        ))
    }
}

/// One subnet per region, or several with commas between them.
pub(super) fn subnets(checker: &mut OptionChecker<'_>) -> BTreeMap<Region, Vec<String>> {
    let mut subnets = BTreeMap::new();
    for (region, list) in checker.map("subnet_ids") {
        let read: Result<Vec<String>, String> = list.split(',').map(|id| resource_id(id.trim(), "subnet-")).collect();
        match (region.parse::<Region>(), read) {
            (Ok(region), Ok(read)) => {
                subnets.insert(region, read);
            }
            (region, read) => {
                for message in [region.err().map(|error| error.to_string()), read.err()].into_iter().flatten() {
                    checker.wrong("subnet_ids", message);
                }
            }
        }
    }
    subnets
}

/// The user's own groups.
pub(super) fn security_groups(checker: &mut OptionChecker<'_>) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    groups.extend(checker.parsed("security_group_id", |text| resource_id(text, "sg-")));
    for group in checker.list("security_group_ids") {
        match resource_id(&group, "sg-") {
            Ok(group) => groups.push(group),
            Err(message) => checker.wrong("security_group_ids", message),
        }
    }
    groups
}

/// `subnet_filter`; where both are true, `most_free` counts, as in amazon's builders.
pub(super) fn subnet_filter(checker: &mut OptionChecker<'_>) -> Option<SubnetFilter> {
    let filters = filters(checker, "subnet_filter")?;
    let block = &checker.given("subnet_filter")?.value;
    let is = |name: &str| block.get(name).and_then(Json::as_bool) == Some(true);
    let pick = if is("most_free") {
        SubnetPick::MostFree
    } else if is("random") {
        SubnetPick::Random
    } else {
        SubnetPick::Only
    };
    Some(SubnetFilter { filters, pick })
}

/// The filters of the block `option`. One without any would pick at random what nobody meant.
pub(super) fn filters(checker: &mut OptionChecker<'_>, option: &str) -> Option<ResourceFilters> {
    let block = checker.given(option)?.value.clone();
    let given = block.get("filters").and_then(Json::as_object).cloned().unwrap_or_default();
    if given.is_empty() {
        checker.wrong(option, "has no filters; name at least one, like filters = { \"tag:Class\" = \"test\" }");
        return None;
    }
    let mut read = ResourceFilters::new();
    for (name, value) in given {
        let values = values(value.as_str().unwrap_or_default());
        if values.is_empty() || values.len() > MOST_VALUES || values.iter().any(String::is_empty) {
            let message = format!(
                "the filter {name:?} needs 1 to {MOST_VALUES} values with commas between them, and none is empty"
            );
            checker.wrong(option, message);
        } else {
            read.insert(name, values);
        }
    }
    Some(read)
}

/// One line of comma-separated values (RFC 4180), blanks before a value left out: what amazon's builders make of a filter's text.
fn values(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, after) = rest.split_once(',').map_or((rest, None), |(value, after)| (value, Some(after)));
                (value.to_owned(), after)
            }
        };
        values.push(value);
        match after {
            Some(after) => rest = after,
            None => return values,
        }
    }
}

/// A value up to its closing quote, two quotes being one, and what is behind the comma after it.
fn unquoted(text: &str) -> (String, Option<&str>) {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        value.push_str(before);
        if let Some(more) = after.strip_prefix('"') {
            value.push('"');
            rest = more;
        } else {
            return (value, after.split_once(',').map(|(_, behind)| behind));
        }
    }
    (value + rest, None)
}

#[cfg(test)]
mod tests {
    use super::values;

    #[test]
    fn a_filters_text_is_a_line_of_values() {
        assert_eq!(values("a"), ["a"]);
        assert_eq!(values("a, b,c d"), ["a", "b", "c d"]);
        assert_eq!(values("\"a,b\",\"say \"\"x\"\"\" , y"), ["a,b", "say \"x\"", "y"]);
        assert_eq!(values(""), [""]);
        assert_eq!(values("a,"), ["a", ""]);
    }
}
