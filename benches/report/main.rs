//! Writes `docs/benchmarks.md` and its plots from the reports in `target/bench-report`:
//! `just bench-report`. The main items are [`page::page`] and [`plots::all`].

mod page;
mod plot;
mod plots;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

fn main() {
    // A plain `cargo bench` does not change the committed page.
    if !std::env::args().any(|argument| argument == "--write") {
        return;
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::create_dir_all(docs.join("benchmarks")).expect("a directory for the plots");
    for (name, figure) in plots::all() {
        std::fs::write(docs.join("benchmarks").join(name), figure.svg().expect("the plot can be drawn"))
            .expect("a plot is written");
    }
    std::fs::write(docs.join("benchmarks.md"), page::page()).expect("the page is written");
    println!("docs/benchmarks.md");
}
