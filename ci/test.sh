#!/usr/bin/env bash
# The README's test command, then (with --nextest) every fourth of the same tests by cargo-nextest, as whoever calls this.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== cargo test, as $(id -un)"
cargo test --locked --no-fail-fast
if [ "${1:-}" = --nextest ]; then
  echo "== cargo nextest run, as $(id -un)"
  # A runner that starts each test in a process of its own: all that differs is how a test is started. What the compiler says to mistaken
  # code, and what a program of ours does that is started by a test, is the same under every runner. `cargo nextest run` runs the rest too.
  cargo nextest run --locked --no-fail-fast -E 'not binary(ui) and not binary(proof)' --partition hash:1/4
fi
