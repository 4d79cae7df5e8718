#!/usr/bin/env bash
# Builds an image without an engine and runs it as one would: docker/verify.sh [cpu|cuda]
#   cpu   the whole: build, read-only root as uid 1000, health, the README's tour, SIGTERM, exit code
#   cuda  every step that needs no GPU, on a base without CUDA, then with libraries that stand in for it
# Needs root, Debian's buildah, debootstrap, jq and curl, Node with npm, and the npm registry. NODE_BINARY names another Node
# for the image, DEBIAN_SUITE and DEBIAN_MIRROR another Debian; KEEP=1 leaves the working folder.
set -euo pipefail
target=${1:-cpu}
repository=$(realpath "$(dirname "$0")/..")
node=${NODE_BINARY:-$(command -v node || true)}

say() { printf '%-52s %s\n' "$1" "${2:-}"; }
fail() { echo "FAILED: $1" >&2; exit 1; }
check() { local what=$1; shift; "$@" || fail "$what"; say "$what" ok; }

[[ $target = cpu || $target = cuda ]] || fail "there is no target $target; it is cpu or cuda"
[ "$(id -u)" = 0 ] || fail 'this needs root: it mounts and changes root'
for tool in buildah debootstrap jq curl pgrep; do
  command -v "$tool" > /dev/null || fail "$tool is missing: apt-get install buildah debootstrap jq curl procps"
done
[ -x "$node" ] && command -v npm > /dev/null || fail 'Node and npm are missing; NODE_BINARY may name another node'

work=$(mktemp -d)
running=
clean() {
  [ -z "$running" ] || kill -KILL "$running" 2> /dev/null || true
  buildah umount --all > /dev/null 2>&1 || true
  if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap clean EXIT

source "$repository/docker/verify/build.sh"
source "$repository/docker/verify/service.sh"
source "$repository/docker/verify/$target.sh"
