# Sourced by docker/verify.sh.
LIMIT=450 # MB
debian
with_node
network
say 'base (Debian, without Node)' "$(megabytes "$work/debian") MB"
check 'build' must_build cpu verify-debian
open_image cpu
size=$(megabytes "$root")
say 'image' "$size MB"
check "under $LIMIT MB" [ "$size" -lt "$LIMIT" ]
check 'nothing of other platforms, nothing of development' no_foreigners
check 'bill of materials' bill

start
# Held before it listens, so that the check is sure to come too early.
kill -STOP "$running"
check 'HEALTHCHECK fails before it listens' eval '! health'
kill -KILL "$running"
wait "$engine" || true
running=

serves

check 'a command on a mounted picture' eval 'container -v "$repository/test/data/images:/mnt" "$root" "$config" classify /mnt/bag.png | grep Bag > /dev/null'
check 'models of a mounted folder' eval 'container -e IREVNET_MODELS=/models -v "$repository/onnx:/models" "$root" "$config" models | grep fashion-mnist > /dev/null'
