// Imported before ONNX Runtime, which reads these when it is loaded.

/** It sends telemetry by default. */
process.env.ORT_DISABLE_TELEMETRY ??= '1';

/**
 * On GPUs products are rounded to 10 bits of mantissa by default (TF32), which an inverse does not survive. The CUDA
 * libraries read the environment that the process was started with, so a start script or an image should set it too.
 */
process.env.NVIDIA_TF32_OVERRIDE ??= '0';
