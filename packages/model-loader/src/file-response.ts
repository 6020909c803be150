import type { AskedRequest } from './asked-request.ts'

export interface FileToGive {
  /** Bytes. */
  size: number
  headers?: Readonly<Record<string, string>> | undefined
  /** The bytes from `start` up to `end`. Not called where only headers are asked for. */
  bytes: (start: number, end: number) => Blob | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>
}

/**
 * A file as HTTP gives it: 200, 206 with what was asked for, 416 beyond its end; of `HEAD`, headers alone. An empty file is given
 * whole, since no range of it can be: transformers.js takes a 416 for a file that is not there.
 */
export function fileResponse(asked: Omit<AskedRequest, 'url'>, { size, headers, bytes }: FileToGive): Response {
  const isHead = asked.method === 'HEAD'
  const range = isHead || size === 0 ? undefined : rangeOf(asked.range, size)
  if (range === 'outside') {
    return new Response(null, { status: 416, headers: { ...headers, 'content-range': `bytes */${size}` } })
  }
  const { start, end } = range ?? { start: 0, end: size }
  const part = range && { 'content-range': `bytes ${start}-${end - 1}/${size}` }
  return new Response(isHead ? null : bytes(start, end), {
    status: range ? 206 : 200,
    headers: { ...headers, 'content-length': String(end - start), ...part },
  })
}

/** `undefined`: the whole file, also for a range of a kind that is not known, as RFC 9110 has it. */
function rangeOf(header: string | null, size: number): { start: number; end: number } | 'outside' | undefined {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if (from === '' && to === '') return undefined
  if (from === '') return to === '0' ? 'outside' : { start: Math.max(0, size - Number(to)), end: size }
  const start = Number(from)
  if (to !== '' && Number(to) < start) return undefined
  return start >= size ? 'outside' : { start, end: to === '' ? size : Math.min(Number(to) + 1, size) }
}
