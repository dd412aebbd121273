#!/usr/bin/env bash
# Runs the tests as an ordinary user in a clone of its own; makes the user when there is none. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."

user=${1:-netlab-ci}
id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
home=$(getent passwd "$user" | cut -d: -f6)

# A clone of what is committed, and the crates that root has fetched already.
rm -rf "$home/netlab"
git -c safe.directory='*' clone --quiet "$PWD" "$home/netlab"
mkdir -p "$home/.cargo"
cp -r --update "${CARGO_HOME:-$HOME/.cargo}/registry" "$home/.cargo/" 2>/dev/null || true
# Crates that root has compiled need no compiling again: only netlab's own do, at their new place.
for built in debug tests; do
  [ ! -d "target/$built" ] || { mkdir -p "$home/netlab/target" && cp -r --preserve=timestamps "target/$built" "$home/netlab/target/"; }
done
chown -R "$user:" "$home/netlab" "$home/.cargo"

# Root's toolchain lies where only root may look: show it at a public place, in a mount namespace that ends with this command.
rustup=${RUSTUP_HOME:-$HOME/.rustup}
bin=${CARGO_HOME:-$HOME/.cargo}/bin
public=/opt/netlab-ci
mkdir -p "$public/rustup" "$public/bin"
exec unshare --mount --propagation private bash -euo pipefail -c '
  mount --bind "$1" "$3/rustup"
  mount --bind "$2" "$3/bin"
  exec setpriv --reuid "$4" --regid "$4" --init-groups --reset-env env CI="${CI:-}" RUSTUP_HOME="$3/rustup" \
    PATH="$3/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" bash -c "cd \"$5/netlab\" && exec ci/test.sh"
' as-user "$rustup" "$bin" "$public" "$user" "$home" </dev/null
