import { expect, it } from 'vitest'

import {
  anyLocalPieces,
  createLocalPieces,
  download,
  heldLeaves,
  type KnownPiece,
  type LocalBytes,
  type LocalPieces,
  type WantedFile,
} from '../src/index.ts'
import {
  holds,
  memorySource,
  MIB,
  openTemp,
  outboardOf,
  outboardsOnly,
  quick,
  rooted,
  sha256,
  someBytes,
} from './support.ts'

interface Model {
  bytes: Uint8Array
  pieces: KnownPiece[]
}

/** A header, then tensors one after another. */
function modelOf(header: Uint8Array, tensors: readonly Uint8Array[]): Model {
  const pieces: KnownPiece[] = []
  let offset = header.length
  for (const tensor of tensors) {
    pieces.push({ offset, length: tensor.length, sha256: sha256(tensor) })
    offset += tensor.length
  }
  return { bytes: new Uint8Array(Buffer.concat([header, ...tensors])), pieces }
}

const inMemory = (bytes: Uint8Array): LocalBytes & { read: LocalBytes['read'] } => ({
  async *read(offset, length) {
    for (let at = offset; at < offset + length; at += 100_000) {
      yield bytes.slice(at, Math.min(at + 100_000, offset + length))
    }
  },
})

const localOf = ({ bytes, pieces }: Model): LocalPieces =>
  createLocalPieces(pieces.map((piece) => ({ ...piece, from: inMemory(bytes) })))

const tensorsOf = (count: number, seed: string): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => someBytes(200_000 + ((index * 77_777) % 900_000), `${seed} ${index}`))

it.each(['root', 'sha256'] as const)(
  'tensors that are here are copied, whatever their offsets, known by its %s',
  async (by) => {
    const { store, partials } = await openTemp()
    const tensors = tensorsOf(40, 'old')
    const old = modelOf(someBytes(5000, 'header'), tensors)
    // A longer header, two tensors of forty changed.
    const changed = tensors.map((tensor, index) =>
      index === 7 || index === 30 ? someBytes(tensor.length, `new ${index}`) : tensor,
    )
    const next = modelOf(someBytes(5100, 'other header'), changed)
    const file: WantedFile = {
      path: 'model',
      size: next.bytes.length,
      pieces: next.pieces,
      ...(by === 'root' ? { root: (await outboardOf(next.bytes)).root } : { sha256: sha256(next.bytes) }),
    }
    const source = memorySource('a', { model: next.bytes })
    const blocks = outboardsOnly([['model', await outboardOf(next.bytes)]])
    const { files, receipt } = await download(partials, [file], [blocks, source], { ...quick, local: localOf(old) })
    expect(await holds(store, files[0]!.root, next.bytes)).toBe(true)
    const missing = 5100 + (tensors[7]?.length ?? 0) + (tensors[30]?.length ?? 0)
    expect(receipt.bytes).toBe(missing)
    expect(source.served).toBe(missing)
    expect(files[0]?.localBytes).toBe(next.bytes.length - missing)
  },
)

it('a piece that is not what it should be is fetched instead', async () => {
  const tensors = tensorsOf(12, 'old')
  const model = modelOf(someBytes(100), tensors)
  const rotten = model.bytes.slice()
  const bad = model.pieces[5]!
  rotten[bad.offset + 10] = (rotten[bad.offset + 10] ?? 0) ^ 1
  const { file, blocks } = await rooted('model', model.bytes)
  for (const wanted of [
    { ...file, pieces: model.pieces },
    { ...file, root: undefined, sha256: sha256(model.bytes), pieces: model.pieces },
  ]) {
    const { store, partials } = await openTemp()
    const source = memorySource('a', { model: model.bytes })
    const local = localOf({ bytes: rotten, pieces: model.pieces })
    const { files, receipt } = await download(partials, [wanted], [blocks, source], { ...quick, local })
    expect(await holds(store, files[0]!.root, model.bytes)).toBe(true)
    expect(receipt.bytes).toBeGreaterThanOrEqual(bad.length)
    // The leaves that it is part of, and no more.
    expect(receipt.bytes).toBeLessThanOrEqual(bad.length + 3 * MIB)
    expect(receipt.sources.every(({ outcome }) => outcome !== 'banned')).toBe(true)
  }
})

const broken = {
  read: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('it is gone')) }) }),
}
const endsEarly = inMemory(new Uint8Array(10))
const cannotTell: LocalPieces = { find: () => Promise.reject(new Error('the disk is gone')) }

const unreadable: Readonly<Record<string, (pieces: readonly KnownPiece[]) => LocalPieces>> = {
  'fails when it is read': (pieces) => createLocalPieces(pieces.map((piece) => ({ ...piece, from: broken }))),
  'ends early': (pieces) => createLocalPieces(pieces.map((piece) => ({ ...piece, from: endsEarly }))),
  'cannot be looked for': () => cannotTell,
}

it.each(
  Object.entries(unreadable).flatMap(([name, open]) => [
    [name, 'root', open] as const,
    [name, 'sha256', open] as const,
  ]),
)('a piece that %s is fetched, known by its %s', async (_name, by, open) => {
  const { store, partials } = await openTemp()
  const model = modelOf(new Uint8Array(), tensorsOf(5, 'x'))
  const { file, blocks } = await rooted('model', model.bytes)
  const known: WantedFile = by === 'root' ? file : { path: 'model', size: file.size, sha256: sha256(model.bytes) }
  const source = memorySource('a', { model: model.bytes })
  const local = open(model.pieces)
  const { files } = await download(partials, [{ ...known, pieces: model.pieces }], [blocks, source], {
    ...quick,
    local,
  })
  expect(await holds(store, files[0]!.root, model.bytes)).toBe(true)
  expect(source.served).toBe(model.bytes.length)
})

it('a file all of which is here needs no source', async () => {
  const { store, partials } = await openTemp()
  const model = modelOf(new Uint8Array(), tensorsOf(6, 'x'))
  const { file, blocks } = await rooted('model', model.bytes)
  const { files, receipt } = await download(partials, [{ ...file, pieces: model.pieces }], [blocks], {
    ...quick,
    local: localOf(model),
  })
  expect(await holds(store, files[0]!.root, model.bytes)).toBe(true)
  expect(receipt.bytes).toBe(0)
  expect(files[0]?.localBytes).toBe(model.bytes.length)
})

it('leaves of files that the store holds are not fetched again', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(10 * MIB)
  await store.add(bytes)
  const longer = new Uint8Array(Buffer.concat([bytes, someBytes(MIB, 'more')]))
  const { file, blocks } = await rooted('model', longer)
  const source = memorySource('a', { model: longer })
  const local = anyLocalPieces([createLocalPieces([]), heldLeaves(store.blocks)])
  const { files, receipt } = await download(partials, [file], [blocks, source], { ...quick, local })
  expect(await holds(store, files[0]!.root, longer)).toBe(true)
  expect(receipt.bytes).toBe(MIB)
})

it('a few bytes that are here, between others, are fetched with them', async () => {
  const { partials } = await openTemp()
  const small = Array.from({ length: 50 }, (_, index) => someBytes(1000, `small ${index}`))
  const large = someBytes(3 * MIB)
  const old = modelOf(new Uint8Array(), small)
  // Each known piece stands between bytes that are not known.
  const parts = small.flatMap((piece, index) => [someBytes(20_000, `gap ${index}`), piece])
  const all = modelOf(new Uint8Array(), [...parts, large])
  const { file, blocks } = await rooted('model', all.bytes)
  const source = memorySource('a', { model: all.bytes })
  await download(partials, [{ ...file, pieces: all.pieces }], [blocks, source], {
    ...quick,
    local: localOf(old),
    requestsPerSource: 1,
  })
  expect(source.requests).toBeLessThan(10)
  expect(source.served).toBe(all.bytes.length)
})

it.each(['root', 'sha256'] as const)('no reader of what is here stays open, known by its %s', async (by) => {
  const { store, partials } = await openTemp()
  const old = someBytes(6 * MIB)
  let [opened, closed] = [0, 0]
  const from: LocalBytes = {
    async *read(offset, length) {
      opened += 1
      try {
        yield* inMemory(old).read(offset, length, {})
      } finally {
        closed += 1
      }
    },
  }
  // One that ends in the middle of what is read, and one that is left for the other.
  const pieces = [0, 3].map((at) => ({
    offset: at * MIB,
    length: 2 * MIB,
    sha256: sha256(old.subarray(at * MIB, (at + 2) * MIB)),
  }))
  const bytes = old.slice()
  bytes.fill(1, 2 * MIB, 3 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const wanted: WantedFile = by === 'root' ? file : { path: 'model', size: bytes.length, sha256: sha256(bytes) }
  const local = createLocalPieces(pieces.map((piece) => ({ ...piece, from })))
  const { files } = await download(partials, [{ ...wanted, pieces }], [blocks, memorySource('a', { model: bytes })], {
    ...quick,
    local,
  })
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  expect(files[0]?.localBytes).toBe(4 * MIB)
  expect(opened).toBeGreaterThan(1)
  expect(closed).toBe(opened)
})

it('a reader of what is here is closed when the download fails', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(3 * MIB)
  let [opened, closed] = [0, 0]
  const from: LocalBytes = {
    async *read(offset, length) {
      opened += 1
      try {
        yield* inMemory(bytes).read(offset, length, {})
      } finally {
        closed += 1
      }
    },
  }
  // A leaf and a half.
  const piece = { offset: 0, length: 1.5 * MIB, sha256: sha256(bytes.subarray(0, 1.5 * MIB)) }
  const { file, blocks } = await rooted('model', bytes)
  const local = createLocalPieces([{ ...piece, from }])
  await expect(download(partials, [{ ...file, pieces: [piece] }], [blocks], { ...quick, local })).rejects.toMatchObject(
    { code: 'BACKEND' },
  )
  expect(opened).toBeGreaterThan(0)
  expect(closed).toBe(opened)
})
