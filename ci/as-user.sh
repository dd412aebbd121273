#!/usr/bin/env bash
# Runs the tests as an ordinary user in a clone of its own; makes the user when there is none. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."

user=${1:-netlab-ci}
id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
home=$(getent passwd "$user" | cut -d: -f6)

# A clone of what is committed, the crates that root has fetched, and what root has compiled of them: only netlab's own are compiled again.
rm -rf "$home/netlab"
git -c safe.directory='*' clone --quiet "$PWD" "$home/netlab"
cargo=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$home/.cargo"
cp -r --update "$cargo/registry" "$home/.cargo/" 2>/dev/null || true
for built in debug tests; do
  [ ! -d "target/$built" ] || { mkdir -p "$home/netlab/target" && cp -r --preserve=timestamps "target/$built" "$home/netlab/target/"; }
done
chown -R "$user:" "$home/netlab" "$home/.cargo"

# Root's toolchain and crates lie where only root may look. A mount namespace that ends with this command shows the toolchain at a public
# place, and the user's crates where root has compiled them: cargo compiles again what comes from elsewhere.
public=/opt/netlab-ci
mkdir -p "$public/rustup" "$public/bin" "$public/cargo"
exec unshare --mount --propagation private bash -euo pipefail -c '
  rustup=$1 cargo=$2 public=$3 user=$4 home=$5
  mount --bind "$rustup" "$public/rustup"
  mount --bind "$cargo/bin" "$public/bin"
  mount --bind "$home/.cargo" "$public/cargo"
  if [[ "$cargo" = "$HOME"/* ]]; then
    mount -t tmpfs -o mode=755 netlab-ci "$HOME"
    mkdir -p "$cargo"
  fi
  mount --bind "$public/cargo" "$cargo"
  if [ -c /dev/net/tun ]; then # for everybody, as on most desktops
    [ -c "$public/tun" ] || mknod -m 0666 "$public/tun" c 10 200
    mount --bind "$public/tun" /dev/net/tun
  fi
  exec setpriv --reuid "$user" --regid "$user" --init-groups --reset-env env CI="${CI:-}" CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-}" \
    RUSTUP_HOME="$public/rustup" CARGO_HOME="$cargo" PATH="$public/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" \
    bash -c "cd \"$home/netlab\" && exec ci/test.sh"
' as-user "${RUSTUP_HOME:-$HOME/.rustup}" "$cargo" "$public" "$user" "$home" </dev/null
