import type { AbortOptions } from '@x/storage-core'
import { createGate } from '@x/storage-core/backend'

import { MOST_PARTS, openMultipart, type UploadedPart } from './multipart.ts'
import type { S3Context } from './send.ts'
import { putObject, toBase64 } from './write-object.ts'

export interface UploadOptions extends AbortOptions {
  /** Of all of it, where it is known: then parts are long enough. Bytes. */
  size?: number | undefined
  /** Of a part; at least 5 MiB, but for the last. Bytes; default 8 MiB, longer where 10 000 of them would not do. */
  partBytes?: number | undefined
  /** Parts on their way. Default 3: so many are held. */
  atOnce?: number | undefined
  /** Bytes that were sent; parts that were there already are not among them. */
  onProgress?: ((sentBytes: number) => void) | undefined
}

const PART_BYTES = 8 * 2 ** 20

/**
 * Writes an object of any size: what fits into one part in one piece, the rest in parts. What an earlier run of it has uploaded is
 * not sent again, where the server says the SHA-256 of its parts and the parts are cut alike. Memory: `atOnce` + 1 parts.
 *
 * What fails or is stopped leaves its parts at the server, for the next run; nothing of them is visible.
 *
 * @throws {NoSpaceError} The server says that it is full.
 */
export async function uploadObject(
  context: S3Context,
  bucket: string,
  key: string,
  bytes: AsyncIterable<Uint8Array>,
  options: UploadOptions,
): Promise<void> {
  const { size = 0, atOnce = 3, onProgress, signal } = options
  const partBytes = Math.max(options.partBytes ?? PART_BYTES, Math.ceil(size / MOST_PARTS))
  const cut = inParts(bytes, partBytes)
  const first = await cut.next()
  const second = first.done ? first : await cut.next()
  let sent = 0
  const count = (length: number): void => onProgress?.((sent += length))
  if (second.done) {
    const whole = first.done ? new Uint8Array(0) : first.value
    await putObject(context, bucket, key, whole, { signal })
    count(whole.length)
    return
  }
  const upload = await openMultipart(context, bucket, key, { signal })
  const parts: UploadedPart[] = []
  const gate = createGate(atOnce)

  async function putPart(number: number, part: Uint8Array): Promise<void> {
    const there = upload.parts.get(number)
    if (there?.sha256 !== undefined && there.size === part.length) {
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(part)))
      if (toBase64(digest) === there.sha256) {
        parts.push(there)
        return
      }
    }
    parts.push(await upload.put(number, part, { signal }))
    count(part.length)
  }

  let number = 0
  const start = async (part: Uint8Array): Promise<void> => {
    number += 1
    const own = number
    await gate.room()
    // Whoever asks for room next hears of a failure.
    gate.start(() => putPart(own, part)).catch(() => undefined)
  }
  try {
    if (!first.done) await start(first.value)
    await start(second.value)
    for await (const part of cut) await start(part)
  } finally {
    await gate.settled()
  }
  // One that failed is thrown here.
  await gate.start(async () => undefined)
  await upload.complete(
    parts.toSorted((one, other) => one.number - other.number),
    { signal },
  )
}

async function* inParts(bytes: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Uint8Array, undefined> {
  let part = new Uint8Array(partBytes)
  let filled = 0
  for await (const piece of bytes) {
    let from = 0
    while (from < piece.length) {
      const taken = Math.min(partBytes - filled, piece.length - from)
      part.set(piece.subarray(from, from + taken), filled)
      filled += taken
      from += taken
      if (filled < partBytes) continue
      yield part
      part = new Uint8Array(partBytes)
      filled = 0
    }
  }
  if (filled > 0) yield part.subarray(0, filled)
}
