# Sourced by docker/verify.sh: a service in a container, and what is asked of it.

container() { bash "$repository/docker/verify/run.sh" "$@"; }

# start [OPTION …]: the image's own command in the background; sets running, the number of its first process, and port.
start() {
  port=$("$node" -e 'const s = require("net").createServer().listen(0, () => { console.log(s.address().port); s.close(); })')
  bash "$repository/docker/verify/run.sh" -e "IREVNET_PORT=$port" "$@" "$root" "$config" > "$work/service.log" 2>&1 &
  engine=$!
  # The first process is bash, which becomes the image's command.
  until running=$(pgrep -P "$engine") && [ "$(basename "$(readlink "/proc/$running/exe")")" = node ]; do
    kill -0 "$engine" 2> /dev/null || { cat "$work/service.log" >&2; fail 'the container did not start'; }
    sleep 0.01
  done
}

# health: the image's HEALTHCHECK, in the container, as its user.
health() {
  local command
  mapfile -t command < <(jq -r '.Healthcheck.Test[1:][]' "$config")
  mapfile -d '' -t environment < "/proc/$running/environ"
  nsenter -t "$running" -m -p -r -S 1000 -G 1000 /usr/bin/env -i "${environment[@]}" "${command[@]}" >> "$work/health.log" 2>&1
}

# ready: waits until the service says so; prints the milliseconds from its start.
ready() {
  local began=$1
  until curl -fs "localhost:$port/readyz" > /dev/null; do
    kill -0 "$running" 2> /dev/null || { cat "$work/service.log" >&2; fail 'the service ended before it was ready'; }
    sleep 0.02
  done
  echo $((($(date +%s%N) - began) / 1000000))
}

# stop: SIGTERM, and the exit code.
stop() {
  local code=0
  kill -TERM "$running"
  wait "$engine" || code=$?
  running=
  return "$code"
}

# tour: the commands of README.md, as they stand there, on this port and in a folder of their own. The last is a mistake.
tour() {
  mkdir -p "$work/tour"
  sed -n '/^## A tour/,/^```$/p' "$repository/README.md" | sed '1,/^```sh/d;/^```$/d' \
    | sed "s|localhost:8080|localhost:$port|g; s|/tmp/|$work/tour/|g" > "$work/tour.sh"
  grep -q '^curl' "$work/tour.sh" || fail 'README.md has no tour'
  (
    cd "$repository"
    curl() { command curl -s -w '%{stderr}%{http_code}\n' "$@"; }
    source "$work/tour.sh"
  ) > "$work/tour.log" 2> "$work/tour.codes"
  local codes expected
  codes=$(tr '\n' ' ' < "$work/tour.codes")
  expected=$(grep '^curl' "$work/tour.sh" | sed 's/.*# a mistake.*/400/; s/^curl.*/200/' | tr '\n' ' ')
  [ "$codes" = "$expected" ] || fail "the tour was answered with $codes, not $expected"
}

# same_pixels A B: paths on this machine, compared by the sharp of the image.
same_pixels() {
  cp "$1" "$work/tour/a.png"
  cp "$2" "$work/tour/b.png"
  chmod -R a+rX "$work/tour"
  container -v "$work/tour:/mnt" --entrypoint node "$root" "$config" -e '
    const sharp = require("sharp");
    const pixels = (file) => sharp(file).toColourspace("b-w").raw().toBuffer({ resolveWithObject: true });
    Promise.all(["/mnt/a.png", "/mnt/b.png"].map(pixels)).then(([a, b]) => {
      const same = a.info.width === b.info.width && a.info.height === b.info.height && a.data.equals(b.data);
      process.exit(same ? 0 : 1);
    });'
}

# confined: the service is process 1, of uid 1000, without capabilities, and can write to /tmp alone.
confined() {
  local status
  status=$(cat "/proc/$running/status")
  grep -q '^Uid:[[:space:]]1000[[:space:]]1000[[:space:]]1000' <<< "$status" || return 1
  grep -q '^CapEff:[[:space:]]0*$' <<< "$status" || return 1
  grep -q '^NSpid:.*[[:space:]]1$' <<< "$status" || return 1
  container --entrypoint node "$root" "$config" -e '
    const { writeFileSync } = require("fs");
    const refused = ["/app/x", "/x", "/var/x", "/home/x"].every((path) => {
      try { writeFileSync(path, ""); return false; } catch (error) { return error.code === "EROFS"; }
    });
    writeFileSync("/tmp/x", "");
    process.exit(refused && process.getuid() === 1000 && process.pid === 1 ? 0 : 1);'
}

# no_foreigners: no binary of another platform, no development dependency.
no_foreigners() {
  local found
  found=$(cd "$root/app" && find . -name '*.dll' -o -name '*.dylib' -o -name '*musl*' -o -path '*/typescript' -prune -print \
    -o -name 'darwin*' -path '*/bin/*' -o -name '*.ts' -path './dist/*')
  [ -z "$found" ] || { echo "$found" >&2; return 1; }
}

# bill: the bill of materials names every dependency and none of development.
bill() {
  [ -f "$root$(jq -r '.Labels["irevnet.sbom"]' "$config")" ] || return 1
  jq -e --slurpfile package "$repository/package.json" '
    [.components[].name] as $names
    | ($package[0].dependencies | keys - $names == []) and ($names | any(IN("tap", "typescript", "@biomejs/biome")) | not)' \
    "$root$(jq -r '.Labels["irevnet.sbom"]' "$config")" > /dev/null
}

# serves [OPTION …]: the whole life of a service.
serves() {
  local began
  began=$(date +%s%N)
  start "$@"
  say 'ready' "$(ready "$began") ms after the start"
  check 'HEALTHCHECK passes' health
  check 'uid 1000, no capabilities, process 1, read-only root' confined
  check "the README's tour" tour
  check 'the decoded picture has the same pixels' same_pixels "$work/tour/back.png" "$repository/test/data/images/sneaker.png"
  check 'SIGTERM: exit code 0' stop
}
