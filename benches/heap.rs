//! Writes a heap profile of the pool under load to `benches/dhat-heap.json`, for
//! <https://nnethercote.github.io/dh_view/dh_view.html>. The main item is [`main`].

mod support;

use support::pool::{Host, Work};
use support::sample::Until;
use support::skipped;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    // The profile goes to the current directory, so it is written only on request.
    if skipped("heap") || std::env::var_os("PYPROC_BENCH_HEAP").is_none() {
        return;
    }
    let host = Host::workers(1);
    host.run(&Work::predict(), 256, Until::Calls(10_000));
    let profiler = dhat::Profiler::new_heap();
    let sample = host.run(&Work::predict(), 256, Until::Calls(50_000));
    drop(profiler);
    println!("{} calls", sample.calls());
}
