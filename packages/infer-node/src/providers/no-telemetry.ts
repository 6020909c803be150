/**
 * To be called before ONNX Runtime is loaded, in this thread or in one that it starts: its builds for Linux and macOS report to
 * their maker over the network, and keep an identifier of the machine for that, unless this is set in the process's own
 * environment. A worker's `process.env` is a copy that nothing native reads. Who has set it, to whatever, is left alone.
 */
export function refuseTelemetry(): void {
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1'
}
