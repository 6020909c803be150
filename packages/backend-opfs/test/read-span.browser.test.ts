import { expect, it, onTestFinished } from 'vitest'

import { openOpfsStore, readSpan } from '../src/index.ts'
import { DATA, openDirectory } from '../src/layout.ts'
import type { SpanAnswer, SpanCall } from './children/span-reader.ts'
import { dataFiles, fresh } from './opfs-setup.ts'

const MIB = 1024 * 1024
const SIZE = 4 * MIB + 321

/** No two of its spans are alike. */
function numbered(): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(SIZE / 4)).map((_, index) => Math.imul(index, 2_654_435_761))
  return new Uint8Array(words.buffer, 0, SIZE)
}

/** A store of one file, and a worker that reads it. */
async function opened() {
  const directory = fresh()
  const store = await openOpfsStore({ directory })
  const bytes = numbered()
  const { cid } = await store.add(bytes)
  const [id = ''] = await dataFiles(directory)
  const worker = new Worker(new URL('./children/span-reader.ts', import.meta.url), { type: 'module' })
  onTestFinished(async () => {
    worker.terminate()
    await store.close()
  })
  const ask = async (call: SpanCall): Promise<Uint8Array<ArrayBuffer>> => {
    const { promise, resolve, reject } = Promise.withResolvers<SpanAnswer>()
    worker.addEventListener('message', ({ data }: MessageEvent<SpanAnswer>) => resolve(data), { once: true })
    worker.addEventListener('error', ({ message }) => reject(new Error(message)), { once: true })
    worker.postMessage(call, [])
    const answer = await promise
    if ('bytes' in answer) return answer.bytes
    throw new DOMException(answer.error.message, answer.error.name)
  }
  await ask({ type: 'open', directory, root: cid.toString() })
  const place = async (): Promise<FileSystemFileHandle> =>
    (await openDirectory(`${directory}/${DATA}`, false)).getFileHandle(id)
  return { directory, store, cid, bytes, ask, place }
}

/** A failed comparison of millions of numbers would print them. */
const isSame = (one: Uint8Array, other: Uint8Array): boolean => indexedDB.cmp(one, other) === 0

/** Whether somebody may write to a file now. */
async function isFree(place: FileSystemFileHandle): Promise<boolean> {
  try {
    await (await place.createWritable({ keepExistingData: true })).abort()
    return true
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NoModificationAllowedError') return false
    throw error
  }
}

const SPANS = [
  [0, SIZE],
  [1, SIZE - 1],
  [MIB - 3, 3 * MIB + 5],
  [SIZE - MIB, SIZE],
  [5, 70_000],
  [7, 7],
  [SIZE, SIZE],
] as const

it('a worker reads the span that was asked for, whatever it reads it into', async () => {
  const { bytes, ask, place } = await opened()
  for (const [start, end] of SPANS) {
    for (const viewBytes of [0, 300_001, 8 * MIB]) {
      const read = await ask({ type: 'read', start, end, viewBytes })
      expect(read.length, `${start} to ${end} by ${viewBytes}`).toBe(end - start)
      expect(isSame(read, bytes.subarray(start, end)), `${start} to ${end} by ${viewBytes}`).toBe(true)
    }
  }
  expect(await isFree(await place())).toBe(true)
})

it('nobody writes to a file while a worker reads a span of it, and anybody once it was read or given up', async () => {
  const { bytes, ask, place } = await opened()
  for (const type of ['finish', 'cancel'] as const) {
    const first = await ask({ type: 'begin', start: 10, end: SIZE })
    expect(await isFree(await place())).toBe(false)
    const rest = await ask({ type })
    expect(await isFree(await place())).toBe(true)
    const wanted = type === 'finish' ? bytes.subarray(10 + first.length) : new Uint8Array()
    expect(isSame(rest, wanted)).toBe(true)
  }
})

it('a file that was written to since it was opened is not read', async () => {
  const { ask, place } = await opened()
  const writable = await (await place()).createWritable({ keepExistingData: true })
  // In a private window, as this is, times of modification do not change.
  await writable.write({ type: 'write', position: SIZE, data: new Uint8Array([1]) })
  await writable.close()
  const reading = ask({ type: 'read', start: 0, end: SIZE, viewBytes: MIB }).then(({ length }) => length)
  await expect(reading).rejects.toMatchObject({ name: 'NotReadableError' })
  expect(await isFree(await place())).toBe(true)
})

it('a file that a worker reads is removed once that is done', async () => {
  const { directory, store, cid, bytes, ask } = await opened()
  const first = await ask({ type: 'begin', start: 0, end: SIZE })
  const removing = store.remove(cid)
  const rest = await ask({ type: 'finish' })
  expect(first.length + rest.length).toBe(bytes.length)
  await removing
  expect(await dataFiles(directory)).toEqual([])
})

it('a page, which has no such handles, reads the same', async () => {
  const { store, cid, bytes } = await opened()
  const file = await store.getFile(cid, { verify: 'stored' })
  for (const [start, end] of SPANS) {
    const read = new Uint8Array(await new Response(readSpan(file, start, end)).arrayBuffer())
    expect(isSame(read, bytes.subarray(start, end)), `${start} to ${end}`).toBe(true)
  }
})
