#!/usr/bin/env bash
# Runs test suites that nobody here wrote, from crates.io, with and without `cargo-netlab exec` as cargo's runner, and prints the table of
# docs/runner.md. Usage: ci/foreign.sh [CRATE…]. The work lies in $FOREIGN (/var/tmp/netlab-foreign), the full outputs in its folder `output`.
# As an ordinary user it shows what that user gets; as root it becomes nobody for that, and shows what root in a bare namespace gets, too.
set -euo pipefail
cd "$(dirname "$0")/.."

# Crates whose packages hold tests that need CAP_NET_ADMIN; versions are fixed, so that a table can be repeated.
suites=(
  "rtnetlink 0.24.0 --features=test_as_root"
  "netns-rs 0.2.0"
  "iptables 0.6.0"
  "tokio-tun 0.16.0"
  "tun-rs 2.8.16"
  "tappers 0.4.2"
  "ethtool 0.3.0"
  "wireguard-control 2.0.0"
)

if [ "$(id -u)" = 0 ] && [ -z "${FOREIGN_INSIDE:-}" ] && [ -c /dev/net/tun ]; then
  # A tun device for everybody, as on most desktops, in a mount namespace that ends with this command.
  exec env FOREIGN_INSIDE=1 unshare --mount --propagation private bash -euo pipefail -c '
    mount -t tmpfs -o mode=755 foreign /mnt
    mknod -m 0666 /mnt/tun c 10 200
    mount --bind /mnt/tun /dev/net/tun
    exec "$@"' foreign "$0" "$@"
fi

work=${FOREIGN:-/var/tmp/netlab-foreign}
mkdir -p "$work/bin" "$work/output"
chmod 755 "$work" "$work/bin"
cargo build --quiet --locked -p cargo-netlab
install -m 755 "${CARGO_TARGET_DIR:-target}/debug/cargo-netlab" "$work/bin/cargo-netlab"
triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
netlab=$work/bin/cargo-netlab
export CARGO_TARGET_DIR=$work/target CARGO_INCREMENTAL=0 RUST_BACKTRACE=0

bare=() modes=(user exec per-test)
if [ "$(id -u)" = 0 ]; then
  bare=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
  modes=(root "${modes[@]}")
fi
# Root's tests would change this machine's network, and leave files: they have a namespace, with lo up and a /run and /tmp of its own.
cat >"$work/bin/as-root" <<'END'
#!/bin/sh
exec unshare --net --mount sh -c 'mount -t tmpfs run /run && mount -t tmpfs tmp /tmp && ip link set lo up && exec "$0" "$@"' "$@"
END
chmod 755 "$work/bin/as-root"

runner() {
  case $1 in
    root) echo "$work/bin/as-root" ;;
    user) echo "${bare[*]}" ;;
    exec) echo "${bare[*]} $netlab exec --link eth0 --" ;;
    per-test) echo "${bare[*]} $netlab exec --link eth0 --per-test --" ;;
  esac
}

# Runs the suite in the current folder and says how many tests passed, of how many.
run() {
  local log=$1 runner=$2
  shift 2
  local status=0
  [ -z "$runner" ] || export "CARGO_TARGET_${triple}_RUNNER=$runner"
  timeout --kill-after=5 300 cargo test --tests --no-fail-fast "$@" -- --show-output >"$log" 2>&1 </dev/null || status=$?
  [ -z "$runner" ] || unset "CARGO_TARGET_${triple}_RUNNER"
  awk -v status="$status" '
    /^test result:/ { silent--; for (i = 2; i <= NF; i++) { if ($i == "passed;") passed += $(i - 1); if ($i == "failed;") failed += $(i - 1) } }
    /^Skipping test/ { skipped++ } # what a test says that returns for want of rights
    /^ *Running .*\(.*\)$/ { silent++ }
    END {
      text = (passed - skipped) " of " (passed + failed)
      if (skipped) text = text ", " skipped " skipped"
      if (silent > 0) text = text ", and " silent " binary without a result"
      if (status == 124) text = text ", hung"
      print text
    }' "$log"
}

row() { printf '|%s|\n' "$(printf ' %s |' "$@" | sed 's/|$//')"; }
declare -A title=([root]="root" [user]="ordinary user" [exec]="with \`exec --\`" [per-test]="with \`exec --per-test --\`")
titles=() rules=()
for mode in "${modes[@]}"; do
  titles+=("${title[$mode]}") rules+=(---)
done
row crate "${titles[@]}"
row --- "${rules[@]}"
for suite in "${suites[@]}"; do
  read -r name version features <<<"$suite"
  arguments=(${features:+"$features"})
  [ $# = 0 ] || [[ " $* " = *" $name "* ]] || continue
  folder=$work/$name-$version
  if [ ! -d "$folder" ]; then
    (cd "$work" && cargo info --quiet "$name@$version" >/dev/null) # fetches and unpacks the package
    cp -r "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-$version" "$folder"
  fi
  cd "$folder"
  if ! cargo test --quiet --tests --no-run "${arguments[@]}" >"$work/output/$name.build" 2>&1; then
    echo "| $name $version | does not compile here, see $work/output/$name.build |"
    continue
  fi
  results=()
  for mode in "${modes[@]}"; do
    results+=("$(run "$work/output/$name.$mode" "$(runner "$mode")" "${arguments[@]}")")
  done
  row "$name $version" "${results[@]}"
done
