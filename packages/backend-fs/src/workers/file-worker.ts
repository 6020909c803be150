import { createHash, hash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'

import {
  DONE,
  NEXT,
  NOT_READ,
  STOP,
  TOO_LARGE,
  type Cut,
  type Frame,
  type HashLeavesJob,
  type Job,
  type ReadFailure,
  type ReadFilesJob,
  type ReadLeavesJob,
  type Reply,
  type Request,
  type Results,
} from './messages.ts'

// Everything here is synchronous: the thread has nothing else to do.

const DIGEST_BYTES = 32
/** Hashed in some 20 ms: so long another job has to wait. */
const BYTES_A_TURN = 32 * 1024 * 1024

parentPort?.on('message', ({ id, job }: Request) => {
  let reply: Reply
  const transfer: ArrayBuffer[] = []
  try {
    const result = run(job)
    if (result) transfer.push(result.bytes.buffer, result.digests.buffer)
    reply = { id, result }
  } catch (cause) {
    reply = {
      id,
      failure: { ...failureOf(cause), syscall: fieldOf(cause, 'syscall') },
    }
  }
  parentPort?.postMessage(reply, transfer)
})

function run(job: Job): Results[Job['type']] {
  if (job.type === 'hash-leaves') return hashLeaves(job)
  return job.type === 'read-leaves' ? readLeaves(job) : readFiles(job)
}

let spare = Buffer.alloc(0)

/** One buffer for the life of the thread: fresh memory costs a page fault for every 4 KiB. */
function reused(length: number): Buffer {
  if (spare.length < length) spare = Buffer.allocUnsafeSlow(length)
  return spare
}

/** In steps, so that it fits what comes later too. */
function fresh(length: number): Uint8Array<ArrayBuffer> {
  const steps = Math.ceil(length / GIVEN_STEP_BYTES)
  return new Uint8Array(Buffer.allocUnsafeSlow(steps * GIVEN_STEP_BYTES).buffer, 0, length)
}
const GIVEN_STEP_BYTES = 512 * 1024

function hashLeaves({ descriptor, target, cut, control, digests }: HashLeavesJob): undefined {
  const leafCount = leavesOf(cut)
  const buffer = reused(cut.leafBytes)
  try {
    for (let left = BYTES_A_TURN; left > 0 && Atomics.load(control, STOP) === 0; left -= cut.leafBytes) {
      const index = Atomics.add(control, NEXT, 1)
      if (index >= leafCount) return
      const { offset, length } = leafAt(cut, index)
      const bytes = buffer.subarray(0, length)
      const read = readFully(descriptor, bytes, cut.start + offset)
      if (read !== length) throw new Error(`the file ends after ${offset + read} bytes`)
      // The bytes that are hashed are those that are written, and no others.
      if (target !== undefined) writeFully(target, bytes, offset)
      digests.set(digestOf(bytes, frameOf(cut, index)), index * DIGEST_BYTES)
      Atomics.add(control, DONE, 1)
    }
  } catch (cause) {
    // The others need not go on.
    Atomics.store(control, STOP, 1)
    throw cause
  }
}

function readLeaves({ descriptor, cut, first, end, into }: ReadLeavesJob): Results['read-leaves'] {
  const { offset: from } = leafAt(cut, first)
  const last = leafAt(cut, end - 1)
  const total = last.offset + last.length - from
  const bytes =
    into && into.byteLength >= total
      ? new Uint8Array(into, 0, total)
      : new Uint8Array(Buffer.allocUnsafeSlow(total).buffer)
  const digests = new Uint8Array((end - first) * DIGEST_BYTES)
  for (let index = first; index < end; index++) {
    const { offset, length } = leafAt(cut, index)
    const leaf = bytes.subarray(offset - from, offset - from + length)
    const read = readFully(descriptor, leaf, cut.start + offset)
    if (read !== length) return { bytes: bytes.slice(0, offset - from + read), digests }
    digests.set(digestOf(leaf, frameOf(cut, index)), (index - first) * DIGEST_BYTES)
  }
  return { bytes, digests }
}

function readFiles({ paths: joined, maxBytes, into }: ReadFilesJob): Results['read-files'] {
  const paths = joined.split('\0')
  const target = reused(paths.length * maxBytes + 1)
  let filled = 0
  const digests = new Uint8Array(paths.length * DIGEST_BYTES)
  const lengths = new Int32Array(paths.length)
  const failures: ReadFailure[] = []
  for (const [index, path] of paths.entries()) {
    try {
      const length = readOne(path, target.subarray(filled, filled + maxBytes + 1))
      lengths[index] = length
      if (length === TOO_LARGE) continue
      digests.set(digestOf(target.subarray(filled, filled + length), undefined), index * DIGEST_BYTES)
      filled += length
    } catch (cause) {
      lengths[index] = NOT_READ
      failures.push({ index, ...failureOf(cause) })
    }
  }
  // A copy to give away; the large one stays.
  const bytes = into && into.byteLength >= filled ? new Uint8Array(into, 0, filled) : fresh(filled)
  bytes.set(target.subarray(0, filled))
  return { bytes, digests, lengths, failures }
}

/** @returns How many bytes it has, or that it is too large. */
function readOne(path: string, target: Uint8Array): number {
  // A FIFO that took the file's place would block an open for reading for ever.
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const before = fstatSync(descriptor, { bigint: true })
    if (!before.isFile()) throw new Error('it is no file any more')
    const size = Number(before.size)
    if (size >= target.length) return TOO_LARGE
    // One byte more, in one call: there are files, as in /proc, that have more than they say.
    const first = readSync(descriptor, target, 0, size + 1, 0)
    const read = first < size ? first + readFully(descriptor, target.subarray(first, size), first) : first
    const after = fstatSync(descriptor, { bigint: true })
    if (read !== size || after.size !== before.size || after.mtimeNs !== before.mtimeNs) {
      throw new Error('it was written to')
    }
    return read
  } finally {
    closeSync(descriptor)
  }
}

const leavesOf = ({ fileBytes, leafBytes }: Cut): number => Math.max(1, Math.ceil(fileBytes / leafBytes))

function leafAt({ fileBytes, leafBytes }: Cut, index: number): { offset: number; length: number } {
  const offset = index * leafBytes
  return { offset, length: Math.min(leafBytes, fileBytes - offset) }
}

const frameOf = (cut: Cut, index: number): Frame | undefined =>
  index === leavesOf(cut) - 1 ? cut.lastFrame : cut.frame

function digestOf(bytes: Uint8Array, frame: Frame | undefined): Uint8Array {
  if (!frame) return hash('sha256', bytes, 'buffer')
  return createHash('sha256').update(frame.before).update(bytes).update(frame.after).digest()
}

function readFully(descriptor: number, target: Uint8Array, offset: number): number {
  let filled = 0
  while (filled < target.length) {
    const read = readSync(descriptor, target, filled, target.length - filled, offset + filled)
    if (read === 0) break
    filled += read
  }
  return filled
}

function writeFully(descriptor: number, bytes: Uint8Array, offset: number): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(descriptor, bytes, written, bytes.length - written, offset + written)
  }
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

function failureOf(cause: unknown): Omit<ReadFailure, 'index'> {
  const errno = cause instanceof Error && 'errno' in cause ? cause.errno : undefined
  return {
    message: messageOf(cause),
    code: fieldOf(cause, 'code'),
    errno: typeof errno === 'number' ? errno : undefined,
  }
}

function fieldOf(cause: unknown, field: string): string | undefined {
  if (typeof cause !== 'object' || cause === null) return undefined
  const value: unknown = Reflect.get(cause, field)
  return typeof value === 'string' ? value : undefined
}
