//! Links between pages lead somewhere: in the repository, in rustdoc and in the book.

mod architecture;
mod links;
mod semantics;
#[path = "../support/mod.rs"]
mod support;
mod targets;

use std::path::Path;

use links::{Page, assert_leads_somewhere, pages};
use support::{read, root};

/// What rustdoc makes of the labels that the guide's chapters define as files.
const RUSTDOC_LINKS: &str = "src/guide/links.md";

/// Where docs.rs serves the files of the published crate.
const SOURCES: &str = "https://docs.rs/crate/actix-pyproc/latest/source/";

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut checked = 0;
    for path in pages(".") {
        let page = Page::read(&path);
        for (file, anchor) in page.relative_targets() {
            assert_leads_somewhere(&path.display().to_string(), &file, &anchor);
            checked += 1;
        }
    }
    assert!(checked >= 100, "{checked} links");
}

/// The address in the manifests is a name for the project; nobody has to be able to open it.
#[test]
fn no_page_depends_on_the_repository_being_reachable() {
    for path in pages(".") {
        let page = read(&path);
        assert!(!page.contains("github.com/actix-pyproc"), "{}", path.display());
    }
}

/// A label leads to a file where the chapter is read as it is, and to an item in rustdoc.
#[test]
fn links_of_the_guide_lead_somewhere_in_both_places() {
    let in_rustdoc = Page::read(RUSTDOC_LINKS).definitions();
    for chapter in pages("docs/guide") {
        let page = Page::read(&chapter);
        let name = chapter.display();
        let defined = page.definitions();
        for target in page.inline_targets() {
            assert!(
                target.starts_with("https://"),
                "{name}: {target} leads nowhere in rustdoc; give it a label"
            );
        }
        for label in page.used_labels() {
            let known = |list: &[(String, String)]| list.iter().any(|(other, _)| *other == label);
            assert!(known(&defined), "{name}: {label} is not defined at its end");
            let everywhere =
                defined.iter().any(|(other, target)| *other == label && target.starts_with("https://"));
            assert!(everywhere || known(&in_rustdoc), "{name}: {label} is not defined in {RUSTDOC_LINKS}");
        }
    }
    let manifest = read("Cargo.toml");
    for (label, target) in in_rustdoc {
        let Some(file) = target.strip_prefix(SOURCES) else { continue };
        let (file, anchor) = file.split_once('#').unwrap_or((file, ""));
        assert_leads_somewhere(&format!("{RUSTDOC_LINKS}: {label}"), Path::new(file), anchor);
        let (directory, _) = file.split_once('/').unwrap_or((file, ""));
        let published = manifest.contains(&format!("    \"/{directory}\",\n"));
        assert!(published, "{RUSTDOC_LINKS}: the published crate does not include {file}");
    }
}

#[test]
fn the_book_has_every_page_once_and_no_link_leaves_it() {
    let summary = Page::read("docs/SUMMARY.md");
    let mut listed: Vec<_> = summary.relative_targets().into_iter().map(|(file, _)| file).collect();
    listed.sort();
    let mut written = pages("docs");
    written.retain(|path| *path != summary.path);
    assert_eq!(listed, written);
    for path in written {
        for (file, _) in Page::read(&path).relative_targets() {
            assert!(
                file.starts_with("docs") && root().join(&file).is_file(),
                "{}: {} is not part of the book",
                path.display(),
                file.display()
            );
        }
    }
}

#[test]
fn decisions_are_numbered_without_holes_and_the_index_has_each() {
    let index = Page::read("docs/decisions/README.md");
    let mut expected = Vec::new();
    for (at, path) in pages("docs/decisions").into_iter().filter(|path| *path != index.path).enumerate() {
        let number = at + 1;
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
        assert!(name.starts_with(&format!("{number:04}-")), "{name} is the decision with number {number}");
        assert!(read(&path).starts_with(&format!("# {number}. ")), "{name}: the title has another number");
        expected.push((path, String::new()));
    }
    assert_eq!(index.relative_targets(), expected);
}
