import { buildDirectory, buildFile, encodeSymlink, profileOf, type NodeLink, type ProfileName } from '@x/cid'
import * as fc from 'fast-check'
import type { ImportCandidate } from 'ipfs-unixfs-importer'
import { describe, expect, it } from 'vitest'

import { Blocks, importWithReference, inPieces, PROFILE_NAMES, sampleBytes } from './oracle.ts'

const KIB = 1024
const SEED = 20_251_121

/** Sizes on both sides of every boundary of a chunk, up to four chunks. */
function sizesAround(profile: ProfileName): number[] {
  const { chunkBytes } = profileOf(profile)
  const edges = [0, 1, 2, 3, 4].flatMap((count) => [-1, 0, 1].map((step) => count * chunkBytes + step))
  return edges.filter((size) => size >= 0)
}

async function buildInPieces(bytes: Uint8Array, profile: ProfileName, sizes: readonly number[]) {
  const { cid, fileBytes, dagBytes } = await buildFile(inPieces(bytes, sizes), { profile })
  expect(fileBytes).toBe(bytes.length)
  return { cid: cid.toString(), dagBytes }
}

describe.each(PROFILE_NAMES)('files under %s equal those of ipfs-unixfs-importer', (profile) => {
  it('around every chunk boundary', async () => {
    for (const size of sizesAround(profile)) {
      const bytes = sampleBytes(size, size)
      const built = await buildInPieces(bytes, profile, [65_537, 1, 300_000])
      expect({ size, ...built }).toEqual({ size, ...(await importWithReference([{ content: bytes }], profile)) })
    }
  })

  it('of any size, in pieces of any size', async () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 5 })
    const size = fc.integer({ min: 0, max: 2_500_000 })
    await fc.assert(
      fc.asyncProperty(size, pieces, fc.nat(), async (byteLength, sizes, seed) => {
        const bytes = sampleBytes(seed, byteLength)
        const expected = await importWithReference([{ content: bytes }], profile)
        expect(
          await buildInPieces(
            bytes,
            profile,
            sizes.map((piece) => Math.max(piece, byteLength >> 6)),
          ),
        ).toEqual(expected)
      }),
      { seed: SEED, numRuns: 15, endOnFailure: true },
    )
  })

  it('that repeat one chunk', async () => {
    const bytes = new Uint8Array(3 * profileOf(profile).chunkBytes + 7)
    const expected = await importWithReference([{ content: bytes }], profile)
    expect(await buildInPieces(bytes, profile, [100_000])).toEqual(expected)
  })
})

// The profile with 1024 links of 1 MiB passes its boundary at 1 GiB: the published vectors do that.
describe.each(['unixfs-v0-2015', 'kubo-v1'] as const)('files under %s around a full node', (profile) => {
  const full = 174 * 256 * KIB
  const bytes = sampleBytes(1, full + 1)
  it.each([full - 1, full, full + 1])('of %d bytes equal those of ipfs-unixfs-importer', async (size) => {
    const content = bytes.subarray(0, size)
    const expected = await importWithReference([{ content }], profile)
    expect(await buildInPieces(content, profile, [1024 * KIB])).toEqual(expected)
  })
})

/** What a file system could hold: no slash, no NUL, no lone surrogate. The importer takes `\` for an escape. */
const entryName = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  .filter((name) => name !== '.' && name !== '..' && !/[/\0\\]/.test(name) && !name.startsWith('\uFEFF'))
const entryNames = (minLength: number, maxLength: number): fc.Arbitrary<string[]> =>
  fc.uniqueArray(entryName, { minLength, maxLength, selector: (name) => name })

const at = <T>(items: readonly T[], index: number): T => {
  const item = items[index % items.length]
  if (item === undefined) throw new Error('no items')
  return item
}

/** Entries with few different files, and the same for the importer. */
async function bothOf(names: readonly string[], profile: ProfileName): Promise<[NodeLink[], ImportCandidate[]]> {
  const contents = [0, 1, 2].map((seed) => sampleBytes(seed, seed * 10))
  const files = await Promise.all(contents.map((content) => buildFile([content], { profile })))
  return [
    names.map((name, index) => ({ name, ...at(files, index) })),
    names.map((name, index) => ({ path: `directory/${name}`, content: at(contents, index) })),
  ]
}

const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `name-${String(index).padStart(5, '0')}`)

async function compareDirectories(names: readonly string[], profile: ProfileName): Promise<void> {
  const [links, candidates] = await bothOf(names, profile)
  const blocks = new Blocks()
  const { cid, dagBytes } = await buildDirectory(links, { profile, onBlock: blocks.add })
  const reference = new Blocks()
  const expected = await importWithReference(candidates, profile, reference)
  expect({ cid: cid.toString(), dagBytes }).toEqual(expected)
  // The shards as well: each block that was built is one of the importer's.
  expect([...blocks.held.keys()].filter((key) => !reference.held.has(key))).toEqual([])
}

describe.each(PROFILE_NAMES)('directories under %s equal those of ipfs-unixfs-importer', (profile) => {
  it('with any names, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(entryNames(1, 60), (names) => compareDirectories(names, profile)),
      { seed: SEED, numRuns: 60, endOnFailure: true },
    )
  })

  it('with so many names that they are sharded', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), entryNames(50, 100), async (salt, names) => {
        // Every name takes about 60 bytes, its CID included.
        const many = Array.from({ length: 5200 }, (_, index) => `${names[index % names.length]}-${salt % 97}-${index}`)
        await compareDirectories(many, profile)
      }),
      { seed: SEED, numRuns: 1, endOnFailure: true },
    )
  })

  it('on both sides of the threshold', async () => {
    // Bytes of an entry, as the profile counts them.
    const width = { 'unixfs-v1-2025': 54, 'unixfs-v0-2015': 44, 'kubo-v1': 46 }[profile]
    const limit = Math.floor(262_144 / width)
    const shapes: number[] = []
    for (const count of [limit, limit + 1]) {
      await compareDirectories(numbered(count), profile)
      const blocks = new Blocks()
      const [links] = await bothOf(numbered(count), profile)
      await buildDirectory(links, { profile, onBlock: blocks.add })
      shapes.push(blocks.held.size)
    }
    expect(shapes[0]).toBe(1)
    expect(shapes.at(-1)).toBeGreaterThan(1)
  })

  it('nested, with symlinks', async () => {
    const target = '../weights/ünï ☃.bin'
    const { cidVersion } = profileOf(profile)
    const file = await buildFile([sampleBytes(9, 300_000)], { profile })
    const link = await encodeSymlink(cidVersion, target)
    const inner = await buildDirectory([{ name: 'file', ...file }], { profile })
    const outer = await buildDirectory(
      [
        { name: 'inner', ...inner },
        { name: 'link', cid: link.cid, dagBytes: link.bytes.length },
      ],
      { profile },
    )
    const expected = await importWithReference(
      [
        { path: 'directory/link', link: target },
        { path: 'directory/inner/file', content: sampleBytes(9, 300_000) },
      ],
      profile,
    )
    expect({ cid: outer.cid.toString(), dagBytes: outer.dagBytes }).toEqual(expected)
  })
})

describe('builders', () => {
  it('refuse a piece that is not bytes', async () => {
    // What `fetch` and Node streams can give to a caller without types; counted as no bytes it would be an empty file.
    for (const piece of [new ArrayBuffer(10), 'text', [1, 2, 3], undefined]) {
      const source: Iterable<Uint8Array> = JSON.parse('[]')
      const pieces = Object.assign([...source], [piece])
      await expect(buildFile(pieces)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    }
  })

  it.each(['', '.', '..', 'a/b', 'a\0', '\udc00', '\uFEFFa'])('refuse the entry name %j', async (name) => {
    const file = await buildFile([])
    await expect(buildDirectory([{ name, ...file }])).rejects.toMatchObject({ code: 'INVALID_INPUT', input: name })
  })

  it('refuse one name twice', async () => {
    const file = await buildFile([])
    const twice = [
      { name: 'b', ...file },
      { name: 'a', ...file },
      { name: 'b', ...file },
    ]
    await expect(buildDirectory(twice)).rejects.toMatchObject({ code: 'INVALID_INPUT', input: 'b' })
  })

  it('refuse an unknown profile', () => {
    expect(() => profileOf('unixfs-v1-2026')).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
    expect(() => profileOf('__proto__')).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })

  it('stop with signal.reason', async () => {
    const reason = new Error('the caller gave up')
    const file = await buildFile([])
    const signal = AbortSignal.abort(reason)
    await expect(buildFile([], { signal })).rejects.toBe(reason)
    await expect(buildDirectory([{ name: 'a', ...file }], { signal })).rejects.toBe(reason)
    const caller = new AbortController()
    let chunks = 0
    const onProgress = (): void => {
      chunks += 1
      caller.abort(reason)
    }
    await expect(buildFile([sampleBytes(1, 3_000_000)], { signal: caller.signal, onProgress })).rejects.toBe(reason)
    // At the next chunk, not at the end.
    expect(chunks).toBe(1)
  })
})
