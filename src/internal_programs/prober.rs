//! The program `assay prober`, which only assay itself starts. It owns the process's exit code and its hidden
//! self-examination; everything else is `probe`'s.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Write, stderr, stdout},
    net::{TcpListener, TcpStream},
    process::Command,
};

use assay_model::{cause::chain, exit::ExitStatus};
use assay_prober::{confine, serve};

/// Runs the prober process to its end: confined, serving the socket that is its standard input. With
/// `--check-confinement THING…` it only confines itself and says which of the things it still reaches: paths are
/// opened, `exec:PATH` is run, `tcp:ADDRESS` is connected to, `listen:ADDRESS` is listened on, `remove:PATH` is removed, and
/// `memory-file:NAME` is a file without a path, from which programs can be run.
///
/// Must be called before a second thread exists.
pub fn run() -> ExitStatus {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let done = match arguments.split_first() {
        Some((first, things)) if first == "--check-confinement" => check(things),
        Some((other, _)) => {
            complain(&format!("prober takes no argument {other:?}"));
            return ExitStatus::Usage;
        }
        None => serve().map_err(|error| chain(&error)),
    };
    match done {
        Ok(()) => ExitStatus::Done,
        Err(error) => {
            complain(&error);
            ExitStatus::Usage
        }
    }
}

/// One line for each thing: `yes THING` or `no THING`, after one `missing SENTENCE` for each means of confinement that
/// is not there.
fn check(things: &[String]) -> Result<(), String> {
    let missing = confine().map_err(|error| chain(&error))?;
    let mut out = stdout();
    let mut say = |line: String| writeln!(out, "{line}").map_err(|e| e.to_string());
    for sentence in missing {
        say(format!("missing {sentence}"))?;
    }
    for thing in things {
        let reached = match thing.split_once(':') {
            Some(("exec", program)) => Command::new(OsStr::new(program)).spawn().is_ok(),
            Some(("tcp", address)) => TcpStream::connect(address).is_ok(),
            Some(("listen", address)) => TcpListener::bind(address).is_ok(),
            Some(("remove", path)) => std::fs::remove_file(path).is_ok(),
            #[cfg(target_os = "linux")]
            Some(("memory-file", name)) => rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC).is_ok(),
            _ => File::open(thing).is_ok() || std::fs::read_dir(thing).is_ok(),
        };
        say(format!("{} {thing}", if reached { "yes" } else { "no" }))?;
    }
    Ok(())
}

fn complain(text: &str) {
    // Nobody reads it when this fails.
    let _ = writeln!(stderr(), "assay prober: {text}");
}
