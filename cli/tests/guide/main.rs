//! Checks the guide: writes its files, runs its commands, and compares the output with the page.
//!
//! `cargo test --doc` runs the Rust code of the guide.

mod deploy;
mod markdown;
mod page;
mod shell;
#[path = "../../../tests/support/mod.rs"]
mod support;
mod transcript;

use std::path::Path;

use markdown::{Block, chapters};
use page::Walk;
use support::{read, root};

macro_rules! walks {
    ($($claim:ident: $page:literal;)*) => {
        /// The pages of which every block is checked.
        const WALKED: &[&str] = &[$($page),*];

        $(#[test]
        fn $claim() {
            Walk::new($page).walk(|_| false);
        })*
    };
}

walks! {
    the_index_is_true: "docs/guide/README.md";
    start_here_is_true: "docs/guide/start-here.md";
    tutorial_is_true: "docs/guide/tutorial.md";
    embed_is_true: "docs/guide/embed.md";
    arguments_is_true: "docs/guide/arguments.md";
    verbs_is_true: "docs/guide/verbs.md";
    outcomes_is_true: "docs/guide/outcomes.md";
    test_is_true: "docs/guide/test.md";
    debug_is_true: "docs/guide/debug.md";
    deploy_is_true: "docs/guide/deploy.md";
    tune_is_true: "docs/guide/tune.md";
    fault_inject_is_true: "docs/guide/fault-inject.md";
    migrate_is_true: "docs/guide/migrate.md";
    compare_is_true: "docs/guide/compare.md";
    faq_is_true: "docs/guide/faq.md";
    operations_is_true: "docs/operations.md";
    gateway_is_true: "docs/gateway.md";
}

#[test]
fn no_chapter_is_left_out() {
    let guide = read("src/guide.rs");
    let mut walked: Vec<_> =
        WALKED.iter().map(Path::new).filter(|page| page.starts_with("docs/guide")).collect();
    walked.sort();
    assert_eq!(chapters(), walked);
    for chapter in chapters() {
        let included = format!("include_str!(\"../{}\")", chapter.display());
        assert!(guide.contains(&included), "src/guide.rs has no {included}");
    }
}

#[test]
fn readme_is_true() {
    let walk = Walk::new("README.md");
    std::os::unix::fs::symlink(root().join("examples"), walk.directory().join("examples"))
        .expect("the disk has room");
    // Commands that begin with cargo run this test.
    walk.walk(|block: &Block| {
        block.language == "sh" && block.text.lines().all(|line| line.starts_with("cargo "))
    });
}

#[test]
fn page_of_the_configuration_is_true() {
    let walk = Walk::new("docs/configuration.md");
    let file = "workers = 4\nmax_queue = 1000\ncall_timeout = \"5s\"\n";
    std::fs::write(walk.directory().join("pool.toml"), file).expect("the disk has room");
    walk.walk(|_| false);
}

#[test]
fn dependencies_on_the_page_of_faults_are_true() {
    // Its Rust code is only fragments, and its command runs too long for a test; `fault-inject.md`
    // has complete versions of both.
    Walk::new("docs/fault-injection.md")
        .walk(|block: &Block| ["rust", "console"].contains(&&*block.language));
}
