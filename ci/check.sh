#!/usr/bin/env bash
# Formatting, lints, workflows, documentation, and the build for people whose laptop is no Linux machine.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
ci/workflows.sh
cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
cargo clippy -p netlab --locked -- -D warnings # as its users build it: no feature
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked

target=x86_64-apple-darwin
if rustup target list --installed 2>/dev/null | grep -qx "$target" || rustup target add "$target" >/dev/null 2>&1; then
  cargo check -p netlab --target "$target" --all-features --locked
else
  echo "ATTENTION: rustup cannot add $target here: the build for macOS was not checked"
fi
