#!/bin/sh
# Fails where a library is missing that ONNX Runtime's CUDA provider needs, and names all that are.
#   cuda-libraries.sh [--driver]
# The driver's libcuda comes with the GPU, mounted by the NVIDIA container toolkit: it is asked for with --driver only.
set -eu
providers=$(dirname "$0")/../node_modules/onnxruntime-node/bin
# The provider opens cuDNN by name when a convolution first needs it, and cuDNN its parts, so ldd does not list them.
opened="libcudnn.so.9 libcudnn_graph.so.9 libcudnn_ops.so.9 libcudnn_cnn.so.9 libcudnn_heuristic.so.9
        libcudnn_engines_precompiled.so.9 libcudnn_engines_runtime_compiled.so.9"
driver='libcuda\.so\.1'
[ "${1:-}" = --driver ] && driver='none'

missing=''
for name in cuda shared; do
  library=$(find "$providers" -name "libonnxruntime_providers_$name.so" 2>/dev/null || true)
  if [ -z "$library" ]; then
    echo "libonnxruntime_providers_$name.so is not in $providers" >&2
    exit 1
  fi
  # "libx.so.1 => not found", or "version `X' not found" of a library that is too old.
  missing="$missing$(ldd "$library" | grep 'not found' | grep -v "^[[:space:]]*$driver =>" || true)
"
done
for library in $opened; do
  # The dynamic linker itself is asked; what it cannot preload it says on standard error.
  missing="$missing$(LD_PRELOAD=$library /bin/true 2>&1 | sed 's/^.*: \(.*cannot\)/\1/')
"
done
missing=$(printf '%s' "$missing" | sed -e 's/^[[:space:]]*//' -e '/^$/d' | sort -u)

if [ -n "$missing" ]; then
  echo "The CUDA provider cannot be loaded; missing:" >&2
  printf '%s\n' "$missing" | sed 's/^/  /' >&2
  needed=$(printf '%s\n' "$missing" | sed -n 's/^libcudart\.so\.\([0-9]*\).*/\1/p')
  [ -z "$needed" ] || echo "It is built for CUDA $needed: take a CUDA_IMAGE with CUDA $needed and cuDNN 9." >&2
  exit 1
fi
echo 'Every library of the CUDA provider is there.'
