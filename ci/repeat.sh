#!/usr/bin/env bash
# Runs the whole test suite N times (default 20) on one thread, on two and on eight: a flaky test is a bug of netlab.
# What follows N goes to cargo test, such as `ci/repeat.sh 100 -p scenarios`.
set -euo pipefail
cd "$(dirname "$0")/.."

times=${1:-20}
shift || true
cargo test --locked --no-run --quiet "$@"
for ((i = 1; i <= times; i++)); do
  for threads in 1 2 8; do
    if ! output=$(cargo test --locked --quiet --no-fail-fast "$@" -- --test-threads="$threads" 2>&1); then
      echo "round $i on $threads threads failed:"
      echo "$output"
      exit 1
    fi
  done
  echo "round $i of $times passed on 1, 2 and 8 threads"
done
