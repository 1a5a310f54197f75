//! The text of `ssh_proxy_command` with its places to fill in. It owns their names, and that nothing but plain letters gets from EC2 or a person into a
//! shell's command line.

use super::options::nearest;

const NAMES: [&str; 3] = ["host", "port", "instance_id"];

/// What stands for a place.
#[derive(Debug, Clone, Copy)]
pub struct PlaceholderValues<'a> {
    /// The SSH server's name or address.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// EC2's id of the instance; absent where the machine is none that assay booted.
    pub instance_id: Option<&'a str>,
}

/// Whether the text can be filled in: a misspelt place, or an unknown letter after `%`, is a mistake. Braces that are the shell's (`${HOME}`, awk) are
/// left alone.
pub fn check(text: &str) -> Result<(), String> {
    fill(text, PlaceholderValues { host: "host", port: 22, instance_id: Some("i-0") }).map(drop)
}

/// The command with every place filled in. Fails where a value could mean something to a shell, and where `{instance_id}` is wanted of a machine that has
/// none.
pub fn fill(text: &str, values: PlaceholderValues<'_>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '%']) {
        let (before, after) = rest.split_at(at);
        filled.push_str(before);
        let shells = before.ends_with('$');
        let (value, length) = match after.as_bytes()[0] {
            b'%' => (Some(percent(after, values)?), 2),
            _ if shells => (None, 1),
            _ => brace(after, values)?,
        };
        match value {
            Some(value) => filled.push_str(&value),
            None => filled.push_str(&after[..length]),
        }
        rest = &after[length..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// ssh_config(5), TOKENS: those that mean something here.
fn percent(text: &str, values: PlaceholderValues<'_>) -> Result<String, String> {
    match text.chars().nth(1) {
        Some('h') => value("host", values),
        Some('p') => value("port", values),
        Some('%') => Ok("%".to_owned()),
        other => {
            let found = other.map_or("%".to_owned(), |letter| format!("%{letter}"));
            Err(format!("{found:?} is not known; expected %h, %p or %% (a percent sign)"))
        }
    }
}

fn brace(text: &str, values: PlaceholderValues<'_>) -> Result<(Option<String>, usize), String> {
    let Some(end) = text.find('}') else { return Ok((None, 1)) };
    let name = &text[1..end];
    if NAMES.contains(&name) {
        return value(name, values).map(|value| (Some(value), end + 1));
    }
    let word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'-');
    match nearest(name, NAMES).filter(|_| word) {
        Some(near) => Err(format!("{{{name}}} is not known; did you mean {{{near}}}?")),
        None => Ok((None, 1)),
    }
}

fn value(name: &str, values: PlaceholderValues<'_>) -> Result<String, String> {
    let value = match name {
        "host" => values.host.to_owned(),
        "port" => values.port.to_string(),
        _ => values.instance_id.ok_or("{instance_id} is only known of instances that assay boots")?.to_owned(),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".:_-%".contains(&b);
    if value.is_empty() || value.starts_with('-') || !value.bytes().all(plain) {
        return Err(format!("the {name} {value:?} cannot be put into a command"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: PlaceholderValues<'_> =
        PlaceholderValues { host: "10.0.0.5", port: 2222, instance_id: Some("i-0abc") };

    #[test]
    fn places_are_filled_in() {
        for (text, filled) in [
            ("nc {host} {port}", "nc 10.0.0.5 2222"),
            ("nc %h %p", "nc 10.0.0.5 2222"),
            ("x --target {instance_id} 100%%", "x --target i-0abc 100%"),
            ("${HOME}/relay '{print $1}' {host}{", "${HOME}/relay '{print $1}' 10.0.0.5{"),
            ("${host}", "${host}"),
        ] {
            assert_eq!(fill(text, VALUES).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn slips_and_values_that_a_shell_would_read_are_refused() {
        for (text, why) in
            [("{hots}", "did you mean {host}"), ("%r", "%h, %p"), ("%", "%h, %p"), ("{instance-id}", "{instance_id}")]
        {
            assert!(check(text).expect_err("a mistake").contains(why), "{text}");
        }
        for host in ["", "-oProxyCommand=x", "a;id", "$(id)", "a b", "a\nb", "`id`"] {
            assert!(fill("nc {host}", PlaceholderValues { host, ..VALUES }).is_err(), "{host:?}");
        }
        assert!(fill("{instance_id}", PlaceholderValues { instance_id: None, ..VALUES }).is_err());
        assert!(fill("nc {host}", PlaceholderValues { host: "fe80::1%eth0", ..VALUES }).is_ok());
    }
}
