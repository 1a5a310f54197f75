//! The confinement of the process that clients talk to. It owns what that process gives up once it has read its certificates and listens; it keeps the one
//! thing that the confined processes behind it need: to be started.

/// Confines this process for good: no root, no file to read but what its own program needs to start again, none to write, no look from outside. Returns a
/// sentence for each means that this system does not have. Must be called before a second thread exists.
pub(super) fn confine(program: &std::path::Path) -> Vec<String> {
    #[cfg(target_os = "linux")]
    return linux::confine(program);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = program;
        vec!["this system has no landlock: the server can read this user's files".to_owned()]
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fmt::Display, path::Path};

    use landlock::{
        ABI, Access, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    };
    use rustix::process::{DumpableBehavior, Resource, Rlimit};

    use crate::confine::leave_root;

    /// Where a dynamically linked program's loader and libraries are (ld.so(8)).
    const LIBRARIES: [&str; 5] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"];

    pub(super) fn confine(program: &Path) -> Vec<String> {
        let mut missing = Vec::new();
        let mut try_to = |what: &str, done: Result<(), String>| {
            if let Err(why) = done {
                missing.push(format!("{what}: {why}"));
            }
        };
        try_to("the server still runs as root", leave_root());
        try_to("privileges can be gained by running programs", text(rustix::thread::set_no_new_privs(true)));
        try_to(
            "other processes of the same user can look into the server",
            text(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)),
        );
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        try_to("a crash would write memory to a file", text(rustix::process::setrlimit(Resource::Core, none)));
        try_to("the server can open files", landlock(program));
        missing
    }

    /// Reading and running the program itself and its libraries, and /dev/null for its standard streams; nothing else.
    fn landlock(program: &Path) -> Result<(), String> {
        let all = AccessFs::from_all(ABI::V5);
        let run = AccessFs::Execute | AccessFs::ReadFile;
        let mut ruleset = text_of(Ruleset::default().handle_access(all).and_then(Ruleset::create))?;
        ruleset = text_of(ruleset.add_rule(PathBeneath::new(text_of(PathFd::new(program))?, run)))?;
        for path in LIBRARIES {
            let Ok(found) = PathFd::new(path) else { continue };
            let access: BitFlags<AccessFs> =
                if Path::new(path).is_dir() { run | AccessFs::ReadDir } else { AccessFs::ReadFile.into() };
            ruleset = text_of(ruleset.add_rule(PathBeneath::new(found, access)))?;
        }
        let null = PathBeneath::new(text_of(PathFd::new("/dev/null"))?, AccessFs::ReadFile | AccessFs::WriteFile);
        let status = text_of(text_of(ruleset.add_rule(null))?.restrict_self())?;
        match status.ruleset {
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
            RulesetStatus::NotEnforced => Err("this kernel has no landlock".into()),
        }
    }

    fn text<E: Display>(done: Result<(), E>) -> Result<(), String> {
        text_of(done)
    }

    fn text_of<T, E: Display>(done: Result<T, E>) -> Result<T, String> {
        done.map_err(|e| e.to_string())
    }
}
