import type { RawTensors } from '@x/infer-core'

/** The memory of tensors, each once, as far as it can be handed to another thread: what is part of something larger is copied. */
export function buffersOf(tensors: RawTensors): ArrayBuffer[] {
  const buffers = Object.values(tensors).flatMap(({ data }) =>
    ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength
      ? data.buffer
      : [],
  )
  return [...new Set(buffers)]
}
