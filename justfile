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

# Calls and large bodies beside hand-written frames on the same sockets.
bench-rpc *ARGS:
    cargo bench -p nova-transport-tokio --bench rpc -- {{ARGS}}
