# The parts of .ci/run.

# Everything that CI runs.
ci:
    .ci/run

# Format, lints and documentation.
check:
    cargo fmt --all --check
    python3 .ci/columns.py
    python3 .ci/structure.py
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
    if cargo deny --version >/dev/null 2>&1; then cargo deny check; fi

# The tests of all crates and of the Python package, those that need libraries too.
test:
    PYTHON_WITH_LIBRARIES="$(.ci/libraries)" cargo test
    PYTHON_WITH_LIBRARIES="$(.ci/libraries)" python3 python_workers/run_tests.py

# All benchmarks, those of one target, or a part of these: `just bench pool_call '1 KiB'`.
bench TARGET="*" FILTER="":
    cargo bench --package actix-pyproc-benches --bench '{{TARGET}}' -- {{ if FILTER == "" { "" } else { quote(FILTER) } }}

# All benchmarks, roughly, in less than three minutes.
bench-quick:
    PYPROC_BENCH_QUICK=1 cargo bench --package actix-pyproc-benches

# Check the allocations of a call against benches/budget.toml.
bench-budget:
    cargo bench --package actix-pyproc-benches --bench budget

# Run all benchmarks, then write docs/benchmarks.md and its plots.
bench-report:
    cargo bench --package actix-pyproc-benches
    cargo run --release --quiet --package pyproc-cli -- bench benches/workers/bench.py predict '{"value": 42}' --workers 2 \
        --concurrency 256 --seconds 5 --json > "${CARGO_TARGET_DIR:-target}/bench-report/cli.json"
    cargo bench --package actix-pyproc-benches --bench report -- --write

# Compare `pyproc serve` with mosec under wrk; needs wrk.
bench-gateway:
    cargo build --release --package pyproc-cli
    python3 benches/gateway/compare.py

# Write flame graphs of a part of the benchmarks: `just flame pool_concurrent 'least-loaded/1 workers/16 B/256'`.
flame TARGET FILTER="":
    cargo bench --package actix-pyproc-benches --bench '{{TARGET}}' -- --profile-time 10 {{ if FILTER == "" { "" } else { quote(FILTER) } }}

# To view the file: https://nnethercote.github.io/dh_view/dh_view.html.
# Write every allocation of 50,000 calls to benches/dhat-heap.json.
heap:
    PYPROC_BENCH_HEAP=1 cargo bench --package actix-pyproc-benches --bench heap

# Build the wheel of the command line into dist/, and try it where there is no Rust.
wheel:
    .ci/wheel

# The guide and the reference pages as a book, in a browser; needs mdbook.
book:
    mdbook serve --open

# Open the documentation in a browser.
doc:
    cargo doc --workspace --no-deps --all-features --open

# Run the examples that CI runs. Those that need Python libraries install them on their first run.
examples:
    for name in quickstart real_input actix_web chaos_test migrate_pyproc scikit_learn pandas web_service; do \
        cargo run --release --features http,fault-injection --example "$name" || exit; done
