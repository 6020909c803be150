import { join } from 'node:path'

import { openFsStore } from '@x/backend-fs'
import type { ContentStore } from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { flipStoredByte } from '../../../tooling/fixtures/src/flip-stored-byte.ts'
import { openCheckpoint, type Checkpoint, type CheckpointTensor } from '../src/index.ts'
import {
  bytesOf,
  collect,
  filesSource,
  openMemory,
  safetensors,
  stores,
  tempDirectory,
  turns,
  u8,
  varied,
  watched,
  type Files,
} from './support.ts'

const MIB = 2 ** 20
const sizes = [5, 1_600_001, 0, 300_000, 1, 1_300_000]
const names = sizes.map((_, index) => `t${index}`)
const payload = new Map(names.map((name, index) => [name, varied(sizes[index] ?? 0, index + 1)]))
const given = (name: string): Uint8Array<ArrayBuffer> => payload.get(name) ?? new Uint8Array()
const shard = (...of: readonly string[]): Uint8Array =>
  safetensors(Object.fromEntries(of.map((name) => [name, u8(given(name))])))
const FILES: Files = {
  'm-1-of-2.safetensors': shard('t0', 't1', 't2', 't3'),
  'm-2-of-2.safetensors': shard('t4', 't5'),
}
const TOTAL = sizes.reduce((sum, size) => sum + size, 0)

async function open(store: ContentStore, files = FILES): Promise<Checkpoint> {
  return openCheckpoint(store, (await store.add(filesSource(files))).cid)
}
const asGiven = (tensors: readonly CheckpointTensor[]): boolean[] =>
  tensors.map((tensor) => Buffer.compare(bytesOf(tensor), given(tensor.name)) === 0)

describe.each(stores)('from the %s store', (_kind, openStore) => {
  it('gives every tensor, whole and as it is in its file', async () => {
    const checkpoint = await open(await openStore())
    const events: unknown[] = []
    const tensors = await collect(checkpoint.tensors({ onProgress: (event) => events.push(event) }))
    expect(tensors.map(({ name }) => name)).toEqual(names)
    expect(asGiven(tensors)).toEqual(names.map(() => true))
    expect(events).toHaveLength(names.length)
    expect(events.at(-1)).toEqual({ type: 'tensor-given', name: 't5', loaded: TOTAL, total: TOTAL })
  })

  it('gives those that are asked for, and reads no more than they take', async () => {
    const plain = await openStore()
    const { cid } = await plain.add(filesSource(FILES))
    const { store, reads } = watched(plain)
    const checkpoint = await openCheckpoint(store, cid)
    reads.length = 0
    const wanted = ['t5', 't0', 't3', 't0']
    const inFile = await collect(checkpoint.tensors({ names: wanted }))
    expect(inFile.map(({ name }) => name)).toEqual(['t0', 't3', 't5'])
    expect(asGiven(inFile)).toEqual([true, true, true])
    expect(reads.map(({ path, length }) => [path, length])).toEqual([
      ['m-1-of-2.safetensors', 5],
      ['m-1-of-2.safetensors', 300_000],
      ['m-2-of-2.safetensors', 1_300_000],
    ])
    const asNamed = await collect(checkpoint.tensors({ names: wanted, order: 'names' }))
    expect(asNamed.map(({ name }) => name)).toEqual(['t5', 't0', 't3'])
    expect(asGiven(asNamed)).toEqual([true, true, true])
  })

  it('reads a shard once, by one cat', async () => {
    const plain = await openStore()
    const { cid } = await plain.add(filesSource(FILES))
    let bytes = 0
    const { store, reads } = watched(plain, (more) => (bytes += more))
    const checkpoint = await openCheckpoint(store, cid)
    reads.length = 0
    bytes = 0
    await collect(checkpoint.tensors({ maxBytes: 4 * MIB }))
    expect(reads).toHaveLength(2)
    expect(bytes).toBe(TOTAL)
  })

  it('gives a tensor in pieces, under a ceiling that it is over', async () => {
    const checkpoint = await open(await openStore())
    const pieces = await collect(checkpoint.pieces('t1', { maxBytes: MIB, pieceBytes: 400_000 }))
    expect(pieces.map(({ offset }) => offset)).toEqual(pieces.map((_, index) => index * 400_000))
    expect(Buffer.compare(Buffer.concat(pieces.map(bytesOf)), given('t1'))).toBe(0)
    expect(await collect(checkpoint.pieces('t2'))).toEqual([])
  })
})

it('refuses what cannot be, before anything is read', async () => {
  const memory = await openMemory()
  const { cid } = await memory.add(filesSource(FILES))
  const { store, reads } = watched(memory)
  const checkpoint = await openCheckpoint(store, cid)
  reads.length = 0
  const refusals: readonly (readonly [AsyncGenerator, code: string, message: string])[] = [
    [
      checkpoint.tensors({ maxBytes: MIB }),
      'INVALID_INPUT',
      `tensor "t1" has 1600001 bytes, over maxBytes ${MIB}: pieces() reads it`,
    ],
    [checkpoint.tensors({ maxBytes: 0 }), 'INVALID_INPUT', 'maxBytes is 0'],
    [checkpoint.tensors({ maxBytes: Number.NaN }), 'INVALID_INPUT', 'maxBytes is NaN'],
    [checkpoint.tensors({ names: ['t0', 'T1'] }), 'NOT_FOUND', 'has no tensor "T1"'],
    [checkpoint.tensors({ order: 'names' }), 'INVALID_INPUT', 'order: names needs names'],
    [checkpoint.pieces('none'), 'NOT_FOUND', 'has no tensor "none"'],
    [
      checkpoint.pieces('t1', { pieceBytes: 2 * MIB, maxBytes: MIB }),
      'INVALID_INPUT',
      'has to be from 1, the width of an item, to maxBytes',
    ],
    [checkpoint.pieces('t1', { pieceBytes: 6 }), 'INVALID_INPUT', 'over 262144'],
  ]
  for (const [generator, code, message] of refusals) {
    await expect(generator.next()).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  }
  await expect(checkpoint.forEach(() => undefined, { concurrency: 1.5 })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  })
  expect(reads).toEqual([])
})

describe('memory', () => {
  const COUNT = 16
  const SIZE = 200_000
  const files = {
    'm.safetensors': safetensors(
      Object.fromEntries(Array.from({ length: COUNT }, (_, at) => [`w${at}`, u8(varied(SIZE, at + 1))])),
    ),
  }
  /** A leaf is read whole, of which the rest waits. */
  const LEAF = MIB

  /** What is read and not released, as seen from outside: the most of it, and now. */
  async function counted(): Promise<{
    checkpoint: Checkpoint
    held: () => number
    most: () => number
    release: (bytes: number) => void
  }> {
    const memory = await openMemory()
    const { cid } = await memory.add(filesSource(files))
    let held = 0
    let most = 0
    const { store } = watched(memory, (bytes) => {
      held += bytes
      most = Math.max(most, held)
    })
    const checkpoint = await openCheckpoint(store, cid)
    held = 0
    most = 0
    return { checkpoint, held: () => held, most: () => most, release: (bytes) => (held -= bytes) }
  }

  it('is bounded however slow the consumer is, and what there is room for is read meanwhile', async () => {
    const { checkpoint, held, most, release } = await counted()
    const maxBytes = 4 * SIZE
    let seen = 0
    let meanwhile = 0
    for await (const tensor of checkpoint.tensors({ maxBytes })) {
      await turns(60)
      seen += 1
      if (seen === 1) meanwhile = held()
      release(tensor.bytes)
    }
    expect(seen).toBe(COUNT)
    expect(meanwhile).toBeGreaterThanOrEqual(maxBytes)
    expect(most()).toBeLessThanOrEqual(maxBytes + LEAF)
  })

  it('counts what callbacks have, several at a time', async () => {
    const { checkpoint, most, release } = await counted()
    let working = 0
    let mostWorking = 0
    await checkpoint.forEach(
      async (tensor) => {
        working += 1
        mostWorking = Math.max(mostWorking, working)
        await turns(60)
        release(tensor.bytes)
        working -= 1
      },
      { maxBytes: 3 * SIZE, concurrency: 10 },
    )
    // The ceiling allows no more of them.
    expect(mostWorking).toBe(3)
    expect(most()).toBeLessThanOrEqual(3 * SIZE + LEAF)
  })

  it('runs as many callbacks as it is told', async () => {
    const { checkpoint } = await counted()
    for (const concurrency of [1, 4]) {
      let working = 0
      let most = 0
      await checkpoint.forEach(
        async () => {
          working += 1
          most = Math.max(most, working)
          await turns(20)
          working -= 1
        },
        { concurrency },
      )
      expect(most).toBe(concurrency)
    }
  })

  it('is bounded for pieces', async () => {
    const { checkpoint, most, release } = await counted()
    for await (const { data } of checkpoint.pieces('w0', { maxBytes: 50_000, pieceBytes: 20_000 })) {
      await turns(20)
      release(data.byteLength)
    }
    // It lies in one leaf, which comes at once.
    expect(most()).toBeLessThanOrEqual(SIZE)
  })

  it('holds a tensor exactly as large as the ceiling', async () => {
    const { checkpoint } = await counted()
    expect(await collect(checkpoint.tensors({ maxBytes: SIZE }))).toHaveLength(COUNT)
  })

  it('is not read any more when the loop ends', async () => {
    const { checkpoint, held } = await counted()
    for await (const tensor of checkpoint.tensors({ maxBytes: SIZE })) {
      expect(tensor.name).toBe('w0')
      break
    }
    const then = held()
    await turns(60)
    expect(held()).toBe(then)
    expect(then).toBeLessThan(COUNT * SIZE)
  })
})

it('a flipped byte is INTEGRITY, and nothing after it is given', async () => {
  const directory = join(await tempDirectory(), 'store')
  const store = await openFsStore({ directory })
  try {
    const checkpoint = await open(store)
    const first = FILES['m-1-of-2.safetensors'] ?? new Uint8Array()
    // In t1: beyond the leaf in which t0 ends.
    await flipStoredByte(directory, first, 1_200_000)
    const seen: string[] = []
    const reading = (async () => {
      for await (const { name } of checkpoint.tensors()) seen.push(name)
    })()
    await expect(reading).rejects.toMatchObject({ code: 'INTEGRITY', file: 'm-1-of-2.safetensors', offset: MIB })
    expect(seen).toEqual(['t0'])
  } finally {
    await store.close()
  }
})

it('a damaged header opens nothing', async () => {
  const directory = join(await tempDirectory(), 'store')
  const store = await openFsStore({ directory })
  try {
    const { cid } = await store.add(filesSource(FILES))
    await flipStoredByte(directory, FILES['m-2-of-2.safetensors'] ?? new Uint8Array(), 20)
    await expect(openCheckpoint(store, cid)).rejects.toMatchObject({ code: 'INTEGRITY', file: 'm-2-of-2.safetensors' })
  } finally {
    await store.close()
  }
})

describe('an abort', () => {
  const reason = new Error('enough')

  it.each([
    ['while a tensor is at work', 4 * MIB],
    ['while others wait', 256 * MIB],
  ])('%s gives nothing more', async (_when, maxBytes) => {
    const checkpoint = await open(await openMemory())
    const stop = new AbortController()
    const seen: string[] = []
    const reading = (async () => {
      for await (const { name } of checkpoint.tensors({ maxBytes, signal: stop.signal })) {
        seen.push(name)
        await turns(60)
        stop.abort(reason)
      }
    })()
    await expect(reading).rejects.toBe(reason)
    expect(seen).toEqual(['t0'])
  })

  it('ends a read that hangs', async () => {
    const memory = await openMemory()
    const { cid } = await memory.add(filesSource(FILES))
    const asked = Promise.withResolvers<void>()
    let hangs = false
    const store: ContentStore = {
      ...memory,
      async *cat(root, options = {}) {
        if (!hangs) {
          yield* memory.cat(root, options)
          return
        }
        asked.resolve()
        yield await new Promise<never>((_resolve, reject) => {
          options.signal?.addEventListener('abort', () => reject(options.signal?.reason))
        })
      },
    }
    const checkpoint = await openCheckpoint(store, cid)
    hangs = true
    const stop = new AbortController()
    const next = checkpoint.tensors({ signal: stop.signal }).next()
    await asked.promise
    stop.abort(reason)
    await expect(next).rejects.toBe(reason)
  })

  it('before the first asks the store for nothing', async () => {
    const memory = await openMemory()
    const { cid } = await memory.add(filesSource(FILES))
    const { store, reads } = watched(memory)
    const checkpoint = await openCheckpoint(store, cid)
    reads.length = 0
    await expect(checkpoint.tensors({ signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason)
    await expect(checkpoint.forEach(() => undefined, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(reads).toEqual([])
  })
})

describe('a callback that fails', () => {
  it.each([
    [1, ['t0', 't1']],
    [3, ['t0', 't1', 't2', 't3']],
  ])('ends it with that error, once the others are done (%i at a time)', async (concurrency, callbacks) => {
    const checkpoint = await open(await openMemory())
    const failure = new Error('disk full')
    const full = Promise.withResolvers<void>()
    const started: string[] = []
    const done: [name: string, reason: unknown][] = []
    const running = checkpoint.forEach(
      async ({ name }, { signal }) => {
        started.push(name)
        if (started.length === callbacks.length) full.resolve()
        if (name === 't1') {
          await full.promise
          throw failure
        }
        if (name > 't1') await new Promise((resolve) => signal.addEventListener('abort', resolve))
        await turns(5)
        done.push([name, signal.reason])
      },
      { concurrency },
    )
    await expect(running).rejects.toBe(failure)
    expect(started).toEqual(callbacks)
    expect(done).toEqual(
      callbacks.filter((name) => name !== 't1').map((name) => [name, name === 't0' ? undefined : failure]),
    )
  })
})
