/** Imported before ONNX Runtime, which otherwise sends telemetry by default. */
process.env.ORT_DISABLE_TELEMETRY ??= '1';
