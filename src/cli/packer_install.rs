//! `assay packer install`: puts this very program where Packer looks for plugins. It owns Packer's names and layout (packer: `packer/plugin-getter`,
//! `plugin_folders.go`; packer-plugin-sdk: `pathing`); it asks Packer nothing, so it also works for versions without `packer plugins install`.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::output;
use assay_config::request::OutputFormat;
use assay_model::exit::ExitStatus;

/// The plugin protocol that the program speaks, as in `describe` and in file names.
const API_VERSION: &str = "x5.0";

/// Install this very program as Packer's plugin
///
/// Writes the program and its checksum to Packer's plugin folder. Running it again replaces them.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The plugin's source address, as `required_plugins` names it
    #[arg(long, value_name = "HOST/OWNER/assay", default_value = "github.com/assay/assay", value_parser = source)]
    source: String,
    /// The plugin folder; default: PACKER_PLUGIN_PATH, else `plugins` in Packer's configuration folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Also write a bare `packer-plugin-assay`, which Packer 1.7 needs for JSON templates and without `required_plugins`
    #[arg(long)]
    legacy: bool,
}

/// What could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstallError {
    #[error("PACKER_PLUGIN_PATH names several folders ({0}); Packer takes one, or give --dir")]
    SeveralFolders(String),
    #[error("neither --dir, PACKER_PLUGIN_PATH, PACKER_CONFIG_DIR nor HOME says where Packer keeps its plugins")]
    NoFolder,
    #[error("Packer has no plugins for {0}")]
    Platform(String),
    #[error("cannot {what} {path}")]
    File { what: &'static str, path: String, source: io::Error },
}

/// Installs and says where.
pub fn execute(args: &InstallArgs, format: OutputFormat) -> ExitStatus {
    match install(args) {
        Ok(written) => {
            let paths: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
            if format == OutputFormat::Text {
                return output::result(&(paths.join("\n") + "\n"), ExitStatus::Done);
            }
            let version = env!("CARGO_PKG_VERSION");
            output::json(
                &json!({"source": args.source, "version": version, "written": paths}),
                format,
                ExitStatus::Done,
            )
        }
        Err(error) => {
            output::chain(&error);
            ExitStatus::Usage
        }
    }
}

fn install(args: &InstallArgs) -> Result<Vec<PathBuf>, InstallError> {
    let root = match &args.dir {
        Some(dir) => dir.clone(),
        None => plugin_folder(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?,
    };
    let program = std::env::current_exe().map_err(file_error("find", Path::new("this program")))?;
    let platform = platform(std::env::consts::OS, std::env::consts::ARCH)?;
    install_to(&program, &root, &args.source, &platform, args.legacy)
}

/// Writes `program` and its checksum below `root`; returns the paths written.
pub(super) fn install_to(
    program: &Path,
    root: &Path,
    source: &str,
    platform: &str,
    legacy: bool,
) -> Result<Vec<PathBuf>, InstallError> {
    let suffix = if platform.starts_with("windows") { ".exe" } else { "" };
    let name = format!("packer-plugin-assay_v{}_{API_VERSION}_{platform}", env!("CARGO_PKG_VERSION"));
    let folder = source.split('/').fold(root.to_owned(), |folder, part| folder.join(part));
    fs::create_dir_all(&folder).map_err(file_error("make", &folder))?;
    let installed = folder.join(format!("{name}{suffix}"));
    let digest = copy(program, &installed)?;
    // Packer reads 64 digits and nothing else: no file name, no line end.
    let sum = folder.join(format!("{name}{suffix}_SHA256SUM"));
    write(&sum, 0o644, &mut |file| file.write_all(digest.as_bytes()))?;
    let mut written = vec![installed, sum];
    if legacy {
        let bare = root.join(format!("packer-plugin-assay{suffix}"));
        copy(program, &bare)?;
        written.push(bare);
    }
    Ok(written)
}

/// Copies a program; returns the SHA-256 of its bytes in hexadecimal digits.
fn copy(from: &Path, to: &Path) -> Result<String, InstallError> {
    let mut hash = Sha256::new();
    let mut input = fs::File::open(from).map_err(file_error("read", from))?;
    write(to, 0o755, &mut |file| {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match input.read(&mut buffer)? {
                0 => return Ok(()),
                read => {
                    hash.update(&buffer[..read]);
                    file.write_all(&buffer[..read])?;
                }
            }
        }
    })?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file aside and renames it, so that Packer never sees half of it.
fn write(to: &Path, mode: u32, fill: &mut dyn FnMut(&mut fs::File) -> io::Result<()>) -> Result<(), InstallError> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let written = || -> io::Result<()> {
        let mut aside = tempfile::Builder::new().prefix(".assay-").tempfile_in(folder)?;
        fill(aside.as_file_mut())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            aside.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        }
        #[cfg(not(unix))]
        let _unused = mode;
        aside.as_file().sync_all()?;
        aside.persist(to).map_err(|error| error.error)?;
        Ok(())
    };
    let mut written = written;
    written().map_err(file_error("write", to))
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> InstallError {
    let path = path.display().to_string();
    move |source| InstallError::File { what, path, source }
}

/// Packer's plugin folder (packer 1.16: `packer/plugin_folders.go`; packer-plugin-sdk: `pathing/config_file_unix.go`, `_windows.go`).
pub(super) fn plugin_folder(environment: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, InstallError> {
    let separator = if cfg!(windows) { ';' } else { ':' };
    if let Some(path) = environment("PACKER_PLUGIN_PATH") {
        return if path.contains(separator) { Err(InstallError::SeveralFolders(path)) } else { Ok(path.into()) };
    }
    let old_name = if cfg!(windows) { "packer.d" } else { ".packer.d" };
    let config = if let Some(folder) = environment("PACKER_CONFIG_DIR") {
        PathBuf::from(folder).join(old_name)
    } else {
        let home = environment(if cfg!(windows) { "APPDATA" } else { "HOME" }).ok_or(InstallError::NoFolder)?;
        let old = PathBuf::from(&home).join(old_name);
        match environment("XDG_CONFIG_HOME") {
            _ if cfg!(windows) || old.exists() => old,
            Some(xdg) => PathBuf::from(xdg).join("packer"),
            None => PathBuf::from(home).join(".config").join("packer"),
        }
    };
    Ok(config.join("plugins"))
}

/// Go's words for operating system and processor, joined as in plugin file names.
pub(super) fn platform(os: &str, arch: &str) -> Result<String, InstallError> {
    let os = match os {
        "macos" => "darwin",
        "linux" | "windows" | "freebsd" | "netbsd" | "openbsd" | "solaris" => os,
        _ => return Err(InstallError::Platform(format!("{os} on {arch}"))),
    };
    let arch = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "arm" | "riscv64" | "s390x" => arch,
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        _ => return Err(InstallError::Platform(format!("{os} on {arch}"))),
    };
    Ok(format!("{os}_{arch}"))
}

/// A source address that Packer takes and whose last part is the plugin's name.
pub(super) fn source(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if parts.len() >= 3 && parts.iter().all(plain) && parts.last() == Some(&"assay") {
        Ok(text.to_owned())
    } else {
        Err("expected HOST/OWNER/assay, like github.com/assay/assay (Packer adds packer-plugin- itself)".to_owned())
    }
}
