//! Makes `docs/benchmarks.md` and its plots of what the benches have left in `target/bench-report`:
//! `just bench-report`.

mod page;
mod plot;
mod plots;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

fn main() {
    // Under a plain `cargo bench` the committed page stays as it is.
    if !std::env::args().any(|argument| argument == "--write") {
        return;
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::create_dir_all(docs.join("benchmarks")).expect("a directory for the plots");
    for (name, figure) in plots::all() {
        std::fs::write(docs.join("benchmarks").join(name), figure.svg()).expect("a plot is written");
    }
    std::fs::write(docs.join("benchmarks.md"), page::page()).expect("the page is written");
    println!("docs/benchmarks.md");
}
