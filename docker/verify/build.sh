# Sourced by docker/verify.sh: builds with buildah, where there is no engine, on bases made of Debian and this machine's Node.
# Images live in $work and go with it.

buildah() { command buildah --storage-driver vfs --root "$work/storage" --runroot "$work/runroot" "$@"; }

# debian: Debian's minimal system, as slim as Docker's, in $work/debian and as an image.
debian() {
  local folder=$work/debian
  debootstrap --variant=minbase "${DEBIAN_SUITE:-trixie}" "$folder" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} \
    > "$work/debootstrap.log" 2>&1 || { tail -5 "$work/debootstrap.log" >&2; fail 'debootstrap failed'; }
  rm -rf "$folder"/usr/share/{doc,man,info,locale,lintian} "$folder"/var/{lib/apt/lists,cache/apt,cache/debconf,log}/*
  image_of "$folder" verify-debian
}

# with_node: the same with Node and npm where node's own image has them.
with_node() {
  local folder=$work/with-node npm
  cp -a "$work/debian" "$folder"
  npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
  mkdir -p "$folder/usr/local/lib/node_modules"
  cp "$(readlink -f "$node")" "$folder/usr/local/bin/node"
  ldd "$node" | awk '$1 ~ /^libatomic/ { print $3 }' | xargs -rI{} cp -L {} "$folder/usr/local/lib/"
  chroot "$folder" ldconfig
  cp -a "$npm" "$folder/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$folder/usr/local/bin/npm"
  image_of "$folder" verify-node
}

# image_of FOLDER NAME
image_of() {
  local container
  container=$(buildah from scratch)
  buildah add -q "$container" "$1" / > /dev/null
  buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah commit -q --rm "$container" "$2" > /dev/null
}

# What this machine needs to reach its npm registry: the user's npmrc, its settings in the environment, certificates, proxies.
setting() { (cd / && npm config get "$1"); }
network() {
  local npmrc cafile name
  npmrc=$(setting userconfig)
  { [ -f "$npmrc" ] && grep -v '^ *cafile' "$npmrc"
    echo "registry=$(setting registry)"
    env | sed -n 's/^npm_config_\(fetch_[a-z_]*\|strict_ssl\|https\{0,1\}_proxy\|noproxy\)=/\1=/ip' | tr _ -; } > "$work/npmrc" || true
  cafile=$(setting cafile)
  [ -f "$cafile" ] || cafile=${NODE_EXTRA_CA_CERTS:-/dev/null}
  cp "$cafile" "$work/ca"
  build_arguments=(--secret "id=npmrc,src=$work/npmrc" --secret "id=ca,src=$work/ca")
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!name:-}" ] || build_arguments+=(--build-arg "$name=${!name}")
  done
}

# build TARGET CUDA_IMAGE [ARGUMENT …]: the image irevnet:TARGET; what was printed is in $work/TARGET.log.
build() {
  local target=$1 cuda=$2
  shift 2
  buildah bud --isolation chroot --network host --pull=never --format docker --layers=false \
    --build-arg NODE_IMAGE=localhost/verify-node --build-arg CPU_IMAGE=localhost/verify-debian \
    --build-arg "CUDA_IMAGE=localhost/$cuda" --build-arg "REVISION=$(git -C "$repository" rev-parse HEAD 2> /dev/null || echo unknown)" \
    "${build_arguments[@]}" "$@" --target "$target" -t "irevnet:$target" -f "$repository/docker/Dockerfile" "$repository" \
    > "$work/$target.log" 2>&1
}

# must_build: the same, and shows what went wrong.
must_build() { build "$@" || { tail -40 "$work/$1.log" >&2; return 1; }; }

# open_image TARGET: sets root, its file system, and config, the file of its configuration.
open_image() {
  local container
  container=$(buildah from --pull=never "localhost/irevnet:$1")
  root=$(buildah mount "$container")
  config=$work/$1.json
  buildah inspect --type image "localhost/irevnet:$1" | jq .Docker.config > "$config"
}

megabytes() { echo $(($(du -sxB1 --apparent-size "$1" | cut -f1) / 1000000)); }
