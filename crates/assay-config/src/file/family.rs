//! Images that are built on images: who is whose `parent`. It owns the order (parents first) and the mistakes in it: a parent that the file does
//! not declare, and images that are built on each other in a circle.

use std::collections::{BTreeMap, HashMap};

use super::{ConfigFile, ImageDecl};
use crate::{options, problem::ConfigProblem};

/// Who is whose parent, each name looked up once.
struct ImageFamily<'a> {
    images: &'a [ImageDecl],
    /// The place in the file of each name.
    places: HashMap<&'a str, usize>,
}

impl<'a> ImageFamily<'a> {
    fn of(file: &'a ConfigFile) -> Self {
        let places = file.images.iter().enumerate().map(|(place, image)| (image.name.as_str(), place)).collect();
        Self { images: &file.images, places }
    }

    fn parent_of(&self, place: usize) -> Option<usize> {
        self.places.get(self.images[place].parent.as_ref()?.as_str()).copied()
    }

    /// The circles, each from the member that stands first in the file, by its place.
    fn circles(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut circles = BTreeMap::new();
        // On which walk each image was met; the walk that meets its own trace has found a circle.
        let mut met: Vec<Option<usize>> = vec![None; self.images.len()];
        for start in 0..self.images.len() {
            let mut line = Vec::new();
            let mut next = Some(start);
            while let Some(place) = next.filter(|place| met[*place].is_none()) {
                met[place] = Some(start);
                line.push(place);
                next = self.parent_of(place);
            }
            let Some(again) = next.and_then(|place| line.iter().position(|known| *known == place)) else { continue };
            let mut circle = line.split_off(again);
            let first = circle.iter().enumerate().min_by_key(|(_, place)| **place).map_or(0, |(at, _)| at);
            circle.rotate_left(first);
            circles.insert(circle[0], circle);
        }
        circles
    }
}

/// Adds every mistake in the file's `parent` attributes to `problems`, each with the line of its image.
pub(super) fn check(file: &ConfigFile, problems: &mut Vec<ConfigProblem>) {
    let family = ImageFamily::of(file);
    let circles = family.circles();
    for (place, image) in file.images.iter().enumerate() {
        let Some(parent) = &image.parent else { continue };
        if !family.places.contains_key(parent.as_str()) {
            let others =
                file.images.iter().map(|other| other.name.as_str()).filter(|name| *name != image.name.as_str());
            let near = options::nearest(parent.as_str(), others)
                .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            let message = format!("there is no image {:?} in this file{near}", parent.as_str());
            problems.push(ConfigProblem::in_file(&file.shown, image.line, shown(image), message));
        } else if let Some(circle) = circles.get(&place) {
            let name = |place: &usize| family.images[*place].name.as_str();
            let links: Vec<String> = circle
                .iter()
                .zip(circle.iter().cycle().skip(1))
                .map(|(child, parent)| format!("{:?} is built on {:?}", name(child), name(parent)))
                .collect();
            let message = format!("images cannot be built on each other in a circle: {}", links.join(", "));
            problems.push(ConfigProblem::in_file(&file.shown, image.line, shown(image), message));
        }
    }
}

fn shown(image: &ImageDecl) -> String {
    format!("image {:?}: parent", image.name.as_str())
}

/// Every image, each after its parent, else in the file's order. Images of a circle (which [`check`] tells) come in the file's order.
pub fn in_order(file: &ConfigFile) -> Vec<&ImageDecl> {
    let family = ImageFamily::of(file);
    let mut ordered = Vec::new();
    let mut taken = vec![false; file.images.len()];
    for start in 0..file.images.len() {
        let mut line = Vec::new();
        let mut next = Some(start);
        while let Some(place) = next.filter(|place| !taken[*place]) {
            taken[place] = true;
            line.push(place);
            next = family.parent_of(place);
        }
        ordered.extend(line.into_iter().rev().map(|place| &file.images[place]));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::file::parse;

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

    #[test]
    fn a_long_line_of_parents_and_a_large_circle_take_no_time() {
        let chain = |count: usize, circle: bool| {
            let image = |at: usize| {
                let parent = if at + 1 < count { at + 1 } else { 0 };
                let last = at + 1 == count && !circle;
                let parent = if last { String::new() } else { format!("  parent = \"i{parent}\"\n") };
                format!("image \"i{at}\" {{\n{parent}}}\n")
            };
            (0..count).map(image).collect::<String>()
        };
        let begun = std::time::Instant::now();
        let (file, problems) = parsed(&chain(1_000, false));
        assert_eq!((in_order(&file).len(), problems.len()), (1_000, 0));
        assert_eq!(in_order(&file)[0].name.as_str(), "i999");
        let (file, problems) = parsed(&chain(1_000, true));
        assert_eq!((in_order(&file).len(), problems.len()), (1_000, 1));
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
        let (file, problems) = parsed(&chain(1_003, false));
        assert_eq!(file.images.len(), 1_000);
        assert!(problems[0].contains("more than 1000 images"), "{problems:?}");
    }
}
