#!/usr/bin/env bash
# The README's test command, then (with --nextest) the same tests by cargo-nextest, as whoever calls this.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== cargo test, as $(id -un)"
cargo test --locked --no-fail-fast
if [ "${1:-}" = --nextest ]; then
  echo "== cargo nextest run, as $(id -un)"
  # What the compiler says to mistaken code is the same under every runner.
  cargo nextest run --locked --no-fail-fast -E 'not binary(ui)'
fi
