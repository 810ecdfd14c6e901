# Chores by name; `just` lists them. Nothing here is needed to build or test.

_list:
    @just --list --unsorted

# Everything that a change has to pass
ci:
    .ci/run

# Run all tests
test:
    cargo test --workspace

# Put the code into its form
fmt:
    cargo fmt --all

# Lints, as in CI
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Write definitions and reference; with the path of helm, the plain manifests too
codegen helm="":
    cargo xtask codegen {{ if helm == "" { "" } else { "--helm " + helm } }}

# Check sizes, dependencies, words, links and generated files
tidy:
    cargo xtask tidy

# Check licences, advisories and banned crates; needs cargo-deny
deny:
    cargo deny check

# The story of a good and a bad version
demo:
    cargo run -- demo

# Build the image
image tag="ghcr.io/serin-dev/serin:dev":
    docker build --tag {{ tag }} .
