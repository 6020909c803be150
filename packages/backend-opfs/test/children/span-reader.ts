import { CID } from '@x/cid'

import { openOpfsStore, readSpan } from '../../src/index.ts'

/** To this worker, which answers one after another. `open` comes first. */
export type SpanCall =
  | { type: 'open'; directory: string; root: string }
  /** All of a span, through views of a size; 0: through a reader that brings none. */
  | { type: 'read'; start: number; end: number; viewBytes: number }
  /** The first piece of a span, and no more until `finish` or `cancel`. */
  | { type: 'begin'; start: number; end: number }
  | { type: 'finish' | 'cancel' }

export type SpanAnswer = { bytes: Uint8Array<ArrayBuffer> } | { error: { name: string; message: string } }

let file: File | undefined
let begun: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined

async function drain(reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for (let next = await reader.read(); !next.done; next = await reader.read()) pieces.push(next.value)
  return new Uint8Array(await new Blob(pieces).arrayBuffer())
}

async function drainInto(reader: ReadableStreamBYOBReader, viewBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(viewBytes))
    if (value) pieces.push(value)
    if (done) return new Uint8Array(await new Blob(pieces).arrayBuffer())
  }
}

async function answer(call: SpanCall): Promise<Uint8Array<ArrayBuffer>> {
  if (call.type === 'open') {
    const store = await openOpfsStore({ directory: call.directory, readOnly: true })
    file = await store.getFile(CID.parse(call.root), { verify: 'stored' })
    return new Uint8Array()
  }
  if (!file) throw new Error('nothing was opened')
  if (call.type === 'read') {
    const stream = readSpan(file, call.start, call.end)
    return call.viewBytes === 0
      ? drain(stream.getReader())
      : drainInto(stream.getReader({ mode: 'byob' }), call.viewBytes)
  }
  if (call.type === 'begin') {
    begun = readSpan(file, call.start, call.end).getReader()
    const { value } = await begun.read()
    return value ?? new Uint8Array()
  }
  if (!begun) throw new Error('nothing was begun')
  if (call.type === 'finish') return drain(begun)
  await begun.cancel()
  return new Uint8Array()
}

addEventListener('message', ({ data: call }: MessageEvent<SpanCall>) => {
  answer(call).then(
    (bytes) => postMessage({ bytes } satisfies SpanAnswer),
    (error: unknown) => {
      const { name, message } = error instanceof Error ? error : new Error(String(error))
      postMessage({ error: { name, message } } satisfies SpanAnswer)
    },
  )
})
