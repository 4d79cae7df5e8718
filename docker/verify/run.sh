#!/usr/bin/env bash
# Runs an image's file system as an engine would: read-only root, /tmp alone writable, the user, environment and command of
# its configuration, its own mounts and process numbers, no capabilities. Needs root and util-linux, no engine.
#   run.sh [-e NAME=VALUE] [-v FROM:TO] [--entrypoint COMMAND] ROOT CONFIG [ARGUMENT …]
# CONFIG is the file with the image's configuration: {"User", "Env", "Entrypoint", "Cmd", "WorkingDir"}.
set -euo pipefail

if [ "${INSIDE:-}" != yes ]; then
  INSIDE=yes exec unshare --mount --propagation private --pid --fork --kill-child bash "$0" "$@"
fi

environment=() mounts=() entrypoint=()
while :; do
  case $1 in
    -e) environment+=("$2") ;;
    -v) mounts+=("$2") ;;
    --entrypoint) entrypoint=("$2") ;;
    *) break ;;
  esac
  shift 2
done
root=$1 config=$2
shift 2

list() { jq -r "(.$1 // [])[]" "$config"; }
mapfile -t own_environment < <(list Env)
mapfile -t command < <(list Cmd)
[ ${#entrypoint[@]} -gt 0 ] || mapfile -t entrypoint < <(list Entrypoint)
[ $# -eq 0 ] || command=("$@")

mount --bind "$root" "$root"
for mount in ${mounts[@]+"${mounts[@]}"}; do
  mkdir -p "$root${mount#*:}"
  mount --bind "${mount%%:*}" "$root${mount#*:}"
done
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero random urandom; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,ro "$root"

exec setpriv --no-new-privs chroot --userspec="$(jq -r .User "$config")" --groups= "$root" \
  /usr/bin/env -i -C "$(jq -r '.WorkingDir // "/"' "$config")" \
  "${own_environment[@]}" ${environment[@]+"${environment[@]}"} "${entrypoint[@]}" ${command[@]+"${command[@]}"}
