# Sourced by docker/verify.sh.
LIMIT=450 # MB
debian
with_node
network
say 'base (Debian, without Node)' "$(megabytes "$work/debian") MB"
check 'build' build cpu verify-debian || { tail -30 "$work/cpu.log" >&2; exit 1; }
open_image cpu
size=$(megabytes "$root")
say 'image' "$size MB"
check "under $LIMIT MB" [ "$size" -lt "$LIMIT" ]
check 'nothing of other platforms, nothing of development' no_foreigners
check 'bill of materials' bill

began=$(date +%s%N)
start
# Held before it listens, so that the check is sure to come too early.
kill -STOP "$running"
check 'HEALTHCHECK fails before it listens' eval '! health'
kill -KILL "$running"
wait "$engine" || true

began=$(date +%s%N)
start
milliseconds=$(ready "$began")
say 'ready' "$milliseconds ms after the start"
check 'HEALTHCHECK passes' health
check 'uid 1000, no capabilities, process 1, read-only root' confined
check "the README's tour" tour
check 'the decoded picture has the same pixels' same_pixels "$work/tour/back.png" "$repository/test/data/images/sneaker.png"
check 'SIGTERM: exit code 0' stop

check 'a command on a mounted picture' eval 'container -v "$repository/test/data/images:/mnt" "$root" "$config" classify /mnt/bag.png | grep -q Bag'
check 'models of a mounted folder' eval 'container -e IREVNET_MODELS=/models -v "$repository/onnx:/models" "$root" "$config" models | grep -q fashion-mnist'
