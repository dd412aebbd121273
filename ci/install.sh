#!/usr/bin/env bash
# Installs what the tests compare netlab with (their oracles) and what the checks need. Debian and Ubuntu; needs root.
set -euo pipefail

packages=(
  bird2           # the routing daemon of a scenario
  build-essential # cc: the floor of the benchmarks
  conntrack       # oracle
  busybox-static  # a program for a root that has no libraries
  git             # a clone for the ordinary user
  iproute2        # oracle: ip, bridge, tc, ss
  iptables        # oracle
  iputils-ping    # oracle
  nftables        # oracle
  procps          # ps in the census
  python3         # floods, and frames that no kernel would send
  stun-client     # oracle
  tcpdump         # oracle
  tshark          # oracle
  uidmap          # newuidmap, for full id maps
  util-linux      # unshare, nsenter, setpriv
)
missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if command -v cargo >/dev/null && ! cargo nextest --version >/dev/null 2>&1; then
  cargo install --quiet --locked cargo-nextest
  missing+=(cargo-nextest)
fi
echo "installed: ${missing[*]:-nothing was missing}"
