/** The same memory as a plain `Uint8Array`: a `Buffer` slices and compares in ways that the port does not promise. */
export const plainBytes = (buffer: Uint8Array): Uint8Array =>
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
