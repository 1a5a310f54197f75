//! Images that are built on images: who is whose `parent`. It owns the order (parents first) and the mistakes in it: a parent that the file does
//! not declare, and images that are built on each other in a circle.

use super::{ConfigFile, ImageDecl};
use crate::config::{options, problem::Problem};

/// Adds every mistake in the file's `parent` attributes to `problems`, each with the line of its image.
pub(super) fn check(file: &ConfigFile, problems: &mut Vec<Problem>) {
    for image in &file.images {
        let Some(parent) = &image.parent else { continue };
        if file.image(parent).is_none() {
            let others =
                file.images.iter().map(|other| other.name.as_str()).filter(|name| *name != image.name.as_str());
            let near = options::nearest(parent.as_str(), others)
                .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            let message = format!("there is no image {:?} in this file{near}", parent.as_str());
            problems.push(Problem::in_file(&file.shown, image.line, shown(image), message));
        } else if let Some(circle) = circle_at(file, image) {
            let links: Vec<String> = circle
                .iter()
                .zip(circle.iter().cycle().skip(1))
                .map(|(child, parent)| format!("{:?} is built on {:?}", child.name.as_str(), parent.name.as_str()))
                .collect();
            let message = format!("images cannot be built on each other in a circle: {}", links.join(", "));
            problems.push(Problem::in_file(&file.shown, image.line, shown(image), message));
        }
    }
}

fn shown(image: &ImageDecl) -> String {
    format!("image {:?}: parent", image.name.as_str())
}

/// The circle that `image` is part of, told by the member that stands first in the file and by no other.
fn circle_at<'a>(file: &'a ConfigFile, image: &'a ImageDecl) -> Option<Vec<&'a ImageDecl>> {
    let mut circle = vec![image];
    let mut next = parent_of(file, image)?;
    while next.name != image.name {
        // Its own circle further up the line, or a member that tells of this one.
        if circle.iter().any(|known| known.name == next.name) || next.line < image.line && circles_back(file, next) {
            return None;
        }
        circle.push(next);
        next = parent_of(file, next)?;
    }
    Some(circle)
}

/// Whether the line of parents leads from `image` back to it.
fn circles_back(file: &ConfigFile, image: &ImageDecl) -> bool {
    let mut next = parent_of(file, image);
    for _ in &file.images {
        match next {
            Some(found) if found.name == image.name => return true,
            Some(found) => next = parent_of(file, found),
            None => return false,
        }
    }
    false
}

fn parent_of<'a>(file: &'a ConfigFile, image: &ImageDecl) -> Option<&'a ImageDecl> {
    image.parent.as_ref().and_then(|parent| file.image(parent))
}

/// Every image, each after its parent, else in the file's order. Images of a circle (which [`check`] tells) come in the file's order.
pub fn in_order(file: &ConfigFile) -> Vec<&ImageDecl> {
    let mut ordered: Vec<&ImageDecl> = Vec::new();
    for image in &file.images {
        let mut line = Vec::new();
        let mut next = Some(image);
        while let Some(found) = next {
            if line.iter().chain(&ordered).any(|known: &&ImageDecl| known.name == found.name) {
                break;
            }
            line.push(found);
            next = parent_of(file, found);
        }
        ordered.extend(line.into_iter().rev());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::file::parse;

    fn parsed(text: &str) -> (ConfigFile, Vec<String>) {
        let mut problems = Vec::new();
        let file = parse(Path::new("/x/assay.hcl"), Path::new("assay.hcl"), text, &mut problems).expect("HCL");
        (file, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn parents_come_first_and_the_file_decides_the_rest() {
        let (file, problems) = parsed(
            "image \"web\" {\n  parent = \"java\"\n}\nimage \"java\" {\n  parent = \"base\"\n}\nimage \"db\" {\n  parent = \"base\"\n}\nimage \"base\" {\n}\nimage \"tools\" {\n}\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        let names: Vec<&str> = in_order(&file).iter().map(|image| image.name.as_str()).collect();
        assert_eq!(names, ["base", "java", "web", "db", "tools"]);
    }

    #[test]
    fn unknown_parents_and_circles_are_told_with_their_lines_each_once() {
        let (file, problems) = parsed(
            "image \"web\" {\n  parent = \"bse\"\n}\nimage \"base\" {\n}\nimage \"a\" {\n  parent = \"b\"\n}\nimage \"b\" {\n  parent = \"c\"\n}\nimage \"c\" {\n  parent = \"a\"\n}\nimage \"d\" {\n  parent = \"b\"\n}\n",
        );
        assert_eq!(
            problems,
            [
                "assay.hcl:1: image \"web\": parent: there is no image \"bse\" in this file; did you mean \"base\"?",
                "assay.hcl:6: image \"a\": parent: images cannot be built on each other in a circle: \"a\" is built on \"b\", \"b\" is built on \"c\", \"c\" is built on \"a\"",
            ]
        );
        assert_eq!(in_order(&file).len(), 6, "every image, each once");
    }
}
