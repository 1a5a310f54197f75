//! assay.hcl for commands that work on several of its images: finding it, reading it wholly, picking images by name. It owns what is said when
//! there is none or it lacks an image; it refuses to look at options (`check`).

use std::path::Path;

use super::{
    file::{self, ConfigFile},
    options,
    problem::{ConfigProblem, ValuePlace},
};
use assay_model::{ImageName, Region};

/// The assay.hcl that `named` (`--config`) says, else the first in `working_dir` or above it. Fails with every mistake of the file, and where
/// there is none or it declares no image.
pub fn read(named: Option<&Path>, working_dir: &Path) -> Result<ConfigFile, Vec<ConfigProblem>> {
    let Some(path) = file::locate(named, working_dir) else {
        let message = format!("there is no {} in {} or above it", file::FILE_NAME, working_dir.display());
        return Err(vec![ConfigProblem::new(ValuePlace::Nowhere, "", message)]);
    };
    let shown = &file::shown(&path, working_dir);
    let mut problems = Vec::new();
    match file::read(&path, shown, &mut problems) {
        Some(file) if problems.is_empty() && file.images.is_empty() => {
            Err(vec![ConfigProblem::in_file(shown, 1, "", "declares no image; write image \"NAME\" { … }")])
        }
        Some(file) if problems.is_empty() => Ok(file),
        _ => Err(problems),
    }
}

/// Adds a mistake for each of `regions` that is given twice with `flag`.
pub fn check_regions(flag: &str, regions: &[Region], problems: &mut Vec<ConfigProblem>) {
    for (position, region) in regions.iter().enumerate() {
        if regions[..position].contains(region) {
            problems.push(twice(flag, region.as_str()));
        }
    }
}

fn twice(flag: &str, name: &str) -> ConfigProblem {
    ConfigProblem::new(ValuePlace::Flag, flag, format!("{name:?} is named twice"))
}

/// Adds a mistake for each of `names`, given with `flag`, that the file does not declare, and for each that is given twice.
pub fn check_names(file: &ConfigFile, flag: &str, names: &[ImageName], problems: &mut Vec<ConfigProblem>) {
    for (position, name) in names.iter().enumerate() {
        if names[..position].contains(name) {
            problems.push(twice(flag, name.as_str()));
        } else if file.image(name).is_none() {
            let declared = file.images.iter().map(|image| image.name.as_str());
            let near = options::nearest(name.as_str(), declared.clone())
                .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            let list = declared.collect::<Vec<_>>().join(", ");
            let message = format!("{} declares no image {:?}, but {list}{near}", file.shown.display(), name.as_str());
            problems.push(ConfigProblem::new(ValuePlace::Flag, flag, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(problems: Vec<ConfigProblem>) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_file_is_found_above_and_read_wholly() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("folders");
        assert!(texts(read(None, &deep).expect_err("none there"))[0].starts_with("there is no assay.hcl in "));
        std::fs::write(folder.path().join("assay.hcl"), "image \"base\" {\n  max_age = \"soon\"\n  nmae = 1\n}\n")
            .expect("written");
        assert_eq!(read(None, &deep).expect_err("two mistakes").len(), 2);
        std::fs::write(folder.path().join("assay.hcl"), "owner = \"x\"\n").expect("written");
        let said = texts(read(Some(Path::new("assay.hcl")), folder.path()).expect_err("no image"));
        assert_eq!(said, ["assay.hcl:1: declares no image; write image \"NAME\" { … }"]);
        std::fs::write(folder.path().join("assay.hcl"), "image \"base\" {\n}\n").expect("written");
        let file = read(None, &deep).expect("a file");
        let names: Vec<ImageName> = ["bsae", "base", "base"].map(|name| name.parse().expect("a name")).to_vec();
        let mut problems = Vec::new();
        check_names(&file, "--image", &names, &mut problems);
        let said = texts(problems);
        assert!(said[0].ends_with("declares no image \"bsae\", but base; did you mean \"base\"?"), "{said:?}");
        assert_eq!(said[1], "--image: \"base\" is named twice");
    }
}
