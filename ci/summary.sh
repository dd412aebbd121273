#!/usr/bin/env bash
# Says on the job's page what its machine gives: the report of `cargo netlab doctor`. netlab itself adds a section for each test that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

report=$(cargo run --quiet --locked -p cargo-netlab -- doctor) && fit=0 || fit=$?
{
  echo "<details><summary>${report##*$'\n'}</summary>"
  printf '\n```text\n%s\n```\n\n</details>\n\n' "$report"
} >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
exit "$fit"
