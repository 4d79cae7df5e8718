# Sourced by docker/verify.sh.
# The provider of ONNX Runtime 1.29.0 for CUDA 13, as an npm package: for this check alone, where NuGet cannot be reached.
STAND_IN=com.github.asus4.onnxruntime.linux-x64-gpu@0.4.9

# stand_in: fetches it into a folder for --build-context cuda-provider=….
stand_in() {
  mkdir -p "$work/stand-in" "$work/provider"
  (cd "$work/stand-in" && npm pack --silent "$STAND_IN" > /dev/null && tar xzf ./*.tgz)
  cp "$work"/stand-in/package/Plugins/Linux/x64/libonnxruntime_providers_{cuda,shared}.so "$work/provider/"
  chmod 755 "$work/provider"/*
}

# stubs SONAME …: an image with empty libraries of these names on Debian.
stubs() {
  local name
  for name in "$@"; do
    gcc -shared -Wl,-soname,"$name" -x c /dev/null -o "$work/debian/usr/local/lib/$name"
  done
  image_of "$work/debian" verify-stubs
}

# missing: the names that the check of the failed build gave.
missing() { grep -oE '\blib[a-zA-Z_]+\.so\.[0-9]+' <(sed -n '/cannot be loaded; missing:/,/^It is built/p' "$work/cuda.log") | sort -u; }

# driver_missed: the check in the container fails for the driver's library alone.
driver_missed() {
  ! container --entrypoint /app/docker/cuda-libraries.sh "$root" "$config" --driver > "$work/driver.log" 2>&1 \
    && [ "$(grep -o 'lib.*' "$work/driver.log")" = 'libcuda.so.1 => not found' ]
}

# refuses: the image's own command ends with exit code 23 and says why.
refuses() {
  local code=0
  timeout 120 bash "$repository/docker/verify/run.sh" -e IREVNET_PORT=0 "$root" "$config" > "$work/refusal.log" 2>&1 || code=$?
  [ "$code" = 23 ] || { echo "exit code $code:" >&2; tail -5 "$work/refusal.log" >&2; return 1; }
  grep -qi cuda "$work/refusal.log"
}

command -v gcc > /dev/null || fail 'gcc is missing: apt-get install gcc libc6-dev'
debian
with_node
network

provider=()
if build provider-installer verify-debian; then
  say 'the provider came from NuGet'
else
  check 'without NuGet the build fails' grep -q 'api.nuget.org' "$work/provider-installer.log"
  stand_in
  provider=(--build-context "cuda-provider=$work/provider")
  say 'the provider stands in' "$STAND_IN"
fi

check 'on a base without CUDA the build fails' eval '! build cuda verify-debian "${provider[@]}"'
mapfile -t names < <(missing)
say 'missing there' "${names[*]}"
for name in libcudart libcublas libcublasLt libcudnn; do
  check "  $name is named" grep -q "$name\.so\.[0-9]" <(printf '%s\n' "${names[@]}")
done

stubs "${names[@]}"
check 'with libraries of these names it passes' must_build cuda verify-stubs "${provider[@]}"
open_image cuda
say 'image without its base' "$(($(megabytes "$root") - $(megabytes "$work/debian"))) MB"
check 'nothing of other platforms, nothing of development' no_foreigners
check 'bill of materials' bill

check 'the driver is missed where it is asked for' driver_missed
check 'without CUDA the service ends with code 23' refuses

serves -e IREVNET_EXECUTION_PROVIDER=cpu
