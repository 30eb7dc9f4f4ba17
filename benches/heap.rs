//! A heap profile of the pool under load: `dhat-heap.json`, for
//! <https://nnethercote.github.io/dh_view/dh_view.html>.

mod support;

use support::pool::{Host, Work};
use support::sample::Until;
use support::skipped;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    // It is only wanted by name: the profile is written where one stands.
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
