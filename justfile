# Everything that a clean checkout must pass.
ci:
    .ci/run

# Tests alone; `just setup` once before, for those that need a JDK.
test:
    cargo test --workspace --locked

setup:
    .ci/setup

# How fast names are found, beside a plain scan of the same names.
bench-search *ARGS:
    cargo run --release -p nova-worker --example search_bench -- {{ARGS}}

# How fast declarations are read, on the JDK's sources.
bench-extract ROOT='target/corpus/openjdk-17':
    cargo run --release -p nova-worker --example symbols -- {{ROOT}} --bench

# So many seconds of fuzzing for each target of the protocol's core, or for those named; needs cargo-fuzz and a nightly.
fuzz SECONDS='60' *TARGETS:
    proto-core/fuzz/run {{SECONDS}} {{TARGETS}}

# The committed corpus anew, from the tests' seeds and from what was found since.
fuzz-minimise *TARGETS:
    proto-core/fuzz/minimise {{TARGETS}}

# How much memory an index takes, on eleven copies of the JDK's sources; fails above a fixed ceiling.
bench-memory *ARGS:
    cargo build --release -p nova-router -p nova-worker
    cargo run --release -p nova-conformance --example memory -- {{ARGS}}

# Calls and large bodies beside hand-written frames on the same sockets.
bench-rpc *ARGS:
    cargo bench -p nova-transport-tokio --bench rpc -- {{ARGS}}
