#!/usr/bin/env bash
# Proves that the stages can fail: plays each without its cause, then all of them with one thing at a time broken in netlab itself.
# Every stage must notice the first, and of the second every mutant must be caught by at least one stage. Takes the better part of an hour,
# so that no landing waits for it. `ci/mutants.sh` does all, `ci/mutants.sh NAME…` only those mutants.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
work=$root/target/mutants/work
export CARGO_TARGET_DIR=$root/target/mutants/build CARGO_TERM_COLOR=never CARGO_INCREMENTAL=1
results=$root/target/mutants
missed=0

rm -rf "$work"
mkdir -p "$results"
git clone --quiet "$root" "$work"
cd "$work"

scenarios() { cargo run --quiet --locked -p scenarios -- "$@"; }

# The stages that do not come out as recorded, in the JSON of `scenarios run`.
differing() { sed -n 's/^{"id":"\([^"]*\)".*"outcome":"differs".*/\1/p' "$1"; }

# mutant NAME FILE WHAT PERL: breaks FILE by the substitution, plays all stages, and tells which notice.
mutant() {
  local name=$1 file=netlab/src/$2 what=$3 change=$4
  [ ${#chosen[@]} -eq 0 ] || [[ " ${chosen[*]} " == *" $name "* ]] || return 0
  perl -0777 -pi -e "$change" "$file"
  if git diff --quiet; then
    printf '%-16s CANNOT BE MADE: the substitution finds nothing in %s\n' "$name" "$file"
    missed=$((missed + 1))
    return 0
  fi
  if ! cargo build --quiet --locked -p scenarios 2>"$results/$name.log"; then
    printf '%-16s CANNOT BE MADE: it does not compile, see %s\n' "$name" "$results/$name.log"
    missed=$((missed + 1))
  else
    scenarios run --all --json >"$results/$name.json" 2>"$results/$name.log" || true
    local stages=() shown
    mapfile -t stages < <(differing "$results/$name.json")
    if [ ${#stages[@]} -eq 0 ]; then
      printf '%-16s %-58s NOT CAUGHT\n' "$name" "$what"
      missed=$((missed + 1))
    else
      shown="${stages[*]:0:5}"
      [ ${#stages[@]} -le 5 ] || shown+=" …"
      printf '%-16s %-58s caught by %3d: %s\n' "$name" "$what" "${#stages[@]}" "$shown"
    fi
  fi
  git checkout --quiet -- "$file"
}

# ignored KEY…: a sysctl that is not written, without an error.
sysctl() {
  mutant "no-$1" sys/sysctl.rs "$1 is never set" "s/(fn write\\(.*?\\{\\n)/\$1    if key.contains(\"$1\") { return Ok(()); }\\n/"
}

chosen=("$@")

echo "== nothing broken"
scenarios run --all --json >"$results/baseline.json"
before=$(differing "$results/baseline.json")
[ -z "$before" ] || { echo "these stages differ before anything is broken: $before"; exit 1; }

if [ ${#chosen[@]} -eq 0 ]; then
  echo "== each stage without its cause"
  scenarios prove --all
fi

echo "== one thing broken in netlab"
for key in ip_forward rp_filter proxy_arp route_localnet bridge-nf-call-iptables; do sysctl "$key"; done

# Rules: what the stages use. SNAT, REDIRECT, `also_local` and the forgetting of connections have their tests in tests/.
lower=firewall/lower.rs
mutant masquerade $lower "MASQUERADE accepts" 's/Target::Masquerade \{ ports, flags \} => Ok\([^\n]*/Target::Masquerade { .. } => verdict(Verdict::Accept),/'
mutant dnat $lower "DNAT accepts" 's/Target::Dnat \{ to, flags \} => Ok\([^\n]*/Target::Dnat { .. } => verdict(Verdict::Accept),/'
mutant dnat-port $lower "DNAT keeps the port" 's/t::dnat\(family, translation\(\*to, family\)\?/t::dnat(family, t::To { ports: None, ..translation(*to, family)? }/'
mutant drop $lower "DROP accepts" 's/Target::Drop => verdict\(Verdict::Drop\)/Target::Drop => verdict(Verdict::Accept)/'
mutant reject $lower "REJECT drops" 's/Target::Reject\(RejectWith::Port\) => Ok\(t::reject\(family\)\)/Target::Reject(RejectWith::Port) => verdict(Verdict::Drop)/'
mutant return $lower "RETURN accepts" 's/Target::Return => verdict\(Verdict::Return\)/Target::Return => verdict(Verdict::Accept)/'
mutant mark $lower "MARK sets nothing" 's/Target::Mark \{ value, mask \} => Ok\(t::mark_set\(\*value, \*mask\)\)/Target::Mark { .. } => Ok(t::mark_set(0, 0))/'
mutant negation $lower "! is overlooked" 's/if test\.not \{ \(!statement\)\? \} else \{ statement \}/statement/'
mutant in-interface $lower "-i is overlooked" 's/Match::In\(name\) => m::iifname\(name\)/Match::In(_) => return Ok(Vec::new())/'
mutant out-interface $lower "-o is overlooked" 's/Match::Out\(name\) => m::oifname\(name\)/Match::Out(_) => return Ok(Vec::new())/'
mutant source $lower "-s is overlooked" 's/Match::From\(addresses\) => m::saddr\(addresses\)/Match::From(_) => return Ok(Vec::new())/'
mutant destination $lower "-d is overlooked" 's/Match::To\(addresses\) => m::daddr\(addresses\)/Match::To(_) => return Ok(Vec::new())/'
mutant port $lower "--dport is overlooked" 's/Match::ToPorts\(protocol, ports\) => [^\n]*/Match::ToPorts(..) => return Ok(Vec::new()),/'
mutant state $lower "--ctstate is overlooked" 's/Match::State\(states\) => Ok\(m::ct_state\(\*states\)\)/Match::State(_) => return Ok(Vec::new())/'
mutant local $lower "--dst-type LOCAL is overlooked" 's/Match::AddressType \{ source, types, seen_from \} => [^\n]*/Match::AddressType { .. } => return Ok(Vec::new()),/'
mutant nth $lower "--mode nth takes the first packet only" 's/m::nth\(\*every, \*packet\)/m::nth(u32::MAX, *packet)/'
mutant share $lower "--mode random always matches" 's/Match::Share \{ share, of \} => [^\n]*/Match::Share { .. } => return Ok(Vec::new()),/'
mutant policy firewall/policy.rs "the policy stays ACCEPT" 's/fn put\(netns: &Netns, name: &ChainName, accept: bool\)([^\n]*)\n/fn put(netns: \&Netns, name: \&ChainName, _accept: bool)$1\n    let accept = true;\n/'

# Links, addresses, routes, neighbours.
mutant hairpin port.rs "hairpin is never on" 's/InfoBridgePort::HairpinMode\(on\)/InfoBridgePort::HairpinMode(false \& on)/'
mutant isolated port.rs "ports are never isolated" 's/InfoBridgePort::Isolated\(on\)/InfoBridgePort::Isolated(false \& on)/'
mutant prefix addr.rs "an address has a /32 for its /24" 's/(let mut message = messages::address\([^\n]*\n)/$1        if message.header.prefix_len == 24 { message.header.prefix_len = 32; }\n/'
mutant mac iface.rs "the MAC address is by chance" 's/self\.mac\.map\(\|mac\|/self.mac.filter(|_| false).map(|mac|/'
mutant gateway iface.rs "no default route" 's/addresses\.chain\(gateways\)/addresses.chain(gateways.take(0))/'
mutant blackhole route.rs "a blackhole answers unreachable" 's/message\.header\.kind = self\.kind;/message.header.kind = if self.kind == RouteType::BlackHole { RouteType::Unreachable } else { self.kind };/'
mutant via route.rs "routes lose their gateway" 's/message\.attributes\.extend\(gateway\);/drop(gateway);/'
mutant route-source route.rs "src is overlooked" 's/if let Some\(source\) = &self\.source/if let Some(source) = \&self.source.as_ref().filter(|_| false)/'
mutant fdb fdb.rs "an entry of a tunnel leads to another machine" 's/message\.attributes\.extend\(dst\.map\(\|dst\| NeighbourAttribute::Destination\(dst\.into\(\)\)\)\);/message.attributes.extend(dst.map(|_| NeighbourAttribute::Destination(IpAddr::from([192, 0, 2, 99]).into())));/'
mutant vxlan-id vxlan.rs "all VXLANs have one identifier" 's/InfoVxlan::Id\(self\.id\)/InfoVxlan::Id(7)/'
mutant vxlan-port vxlan.rs "VXLAN uses the port of Linux, 8472" 's/InfoVxlan::Port\(self\.port\)/InfoVxlan::Port(8472)/'
mutant macvlan macvlan.rs "every macvlan is private" 's/InfoMacVlan::Mode\(mode\)/InfoMacVlan::Mode(if mode == MacVlanMode::Bridge { MacVlanMode::Private } else { mode })/'

# Programs and files.
mutant chroot sys/around.rs "a program keeps the root of its parent" 's/nix::unistd::chroot\(c"\."\)\?;//'
mutant pid-namespace sys/around.rs "a program sees all processes" 's/unshare\(flags & CloneFlags::CLONE_NEWPID\)\?;//'
mutant mount-namespace sys/around.rs "a program mounts for everybody" 's/unshare\(flags - CloneFlags::CLONE_NEWPID\)\?;/unshare(flags - CloneFlags::CLONE_NEWPID - CloneFlags::CLONE_NEWNS)?;/'
mutant private-file files.rs "a private file is never written" 's/(fn put\(&self, content: &\[u8\]\) -> io::Result<\(\)> \{\n)/$1        if content.len() < usize::MAX { return Ok(()); }\n/'

[ "$missed" -eq 0 ] || { echo "$missed mutants were not caught"; exit 1; }
echo "every mutant was caught"
