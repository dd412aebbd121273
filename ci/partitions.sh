#!/usr/bin/env bash
# Proves that tests can be spread over machines: builds one test binary into an archive, runs N partitions of it (default 2), each from the
# archive in a checkout of its own and without the build, merges their reports, and holds the merged against the list of all tests.
# `ci/partitions.sh N TEST`
set -euo pipefail
cd "$(dirname "$0")/.."

n=${1:-2}
test=${2:-process}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo nextest archive --locked --workspace --test "$test" --archive-file "$work/tests.tar.zst"
cargo nextest list --archive-file "$work/tests.tar.zst" --message-format oneline 2>/dev/null | sort >"$work/all"

reports=()
for ((i = 1; i <= n; i++)); do
  git clone --quiet "$PWD" "$work/$i"
  echo "== partition $i of $n"
  # As on another machine: the clone has the sources and no target directory.
  (cd "$work/$i" && env -u CARGO_TARGET_DIR cargo nextest run --profile ci --archive-file "$work/tests.tar.zst" --extract-to "$work/$i" \
    --workspace-remap "$work/$i" --partition "slice:$i/$n")
  reports+=("$work/$i/target/nextest/ci/junit.xml")
done

ci/junit.py "$work/junit.xml" "${reports[@]}"
python3 - "$work/junit.xml" >"$work/ran" <<'PY'
import sys, xml.etree.ElementTree as xml
cases = [(suite.get("name"), case.get("name")) for suite in xml.parse(sys.argv[1]).getroot() for case in suite.iter("testcase")]
print("\n".join(f"{suite} {case}" for suite, case in cases))
PY
diff "$work/all" <(sort "$work/ran") && echo "each of the $(wc -l <"$work/all") tests ran in exactly one partition"
