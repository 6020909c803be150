import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { cidOf, RAW, type CID, type ProfileName } from '@x/cid'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { openFsStore, pathSource, type FsStore } from '../src/index.ts'
import { layoutOf } from '../src/layout.ts'
import { soak } from './soak.ts'
import { bytesOf, isSame, someBytes, tempDirectory } from './support.ts'

const PROFILES = ['unixfs-v1-2025', 'unixfs-v0-2015'] as const
/** Of one leaf in a pack, of one leaf that is wrapped and a file of its own, and of several under one profile or both. */
const SIZES = [0, 10_000, 100_000, 300_000, 1_500_000]

interface Step {
  what: 'add' | 'refer' | 'block' | 'path' | 'gc' | 'remove' | 'rebuild'
  size: number
  profile: ProfileName
}

/** What is pinned, with its bytes. */
type Kept = Map<string, { root: CID; bytes: Uint8Array }>

async function take(store: FsStore, step: Step, kept: Kept, directory: string): Promise<void> {
  const { what, size, profile } = step
  const bytes = someBytes(size)
  const keep = (root: CID): unknown => kept.set(root.toString(), { root, bytes })
  const some = [...kept.values()][size % Math.max(1, kept.size)]
  if (what === 'add') keep((await store.add(bytes, { profile })).cid)
  if (what === 'refer') {
    const path = join(directory, `file ${size}`)
    await writeFile(path, bytes)
    // Not kept: the file is the user's, who deletes it.
    await store.add(await pathSource(path), { profile, mode: 'reference', pin: false })
    await rm(path)
  }
  if (what === 'block' && size <= 300_000) {
    const cid = await cidOf(RAW, bytes)
    await store.blocks.putMany?.([{ cid, bytes }])
    await store.pin(cid)
    keep(cid)
  }
  if (what === 'path' && some) await store.getPath(some.root)
  if (what === 'gc') await store.gc()
  if (what === 'rebuild') await store.rebuild()
  if (what === 'remove' && some) {
    await store.remove(some.root)
    kept.delete(some.root.toString())
  }
}

async function expectKept(directory: string, kept: Kept, when: string): Promise<void> {
  const warnings: string[] = []
  const store = await openFsStore({ directory, onWarning: (message) => warnings.push(message) })
  try {
    for (const { root, bytes } of kept.values()) {
      const read = await bytesOf(store.cat(root)).catch((cause: unknown) => String(cause))
      expect(typeof read === 'string' ? read : isSame(read, bytes), `${when}: ${root}`).toBe(true)
    }
    // It can tell what is needed.
    await store.gc()
    for (const { root } of kept.values()) expect(await store.has(root), `${when}, then gc: ${root}`).toBe(true)
  } finally {
    await store.close()
  }
}

/**
 * After every step, what is pinned is read back: with the index, without one, and with those of before the last steps.
 * Resolves to how often.
 */
async function walk(steps: readonly Step[]): Promise<number> {
  const base = await tempDirectory()
  const directory = join(base, 'store')
  const kept: Kept = new Map()
  await (await openFsStore({ directory })).close()
  let looked = 0
  for (const [index, step] of steps.entries()) {
    await cp(layoutOf(directory).index, join(base, `index ${index}`))
    const store = await openFsStore({ directory })
    try {
      await take(store, step, kept, base)
    } finally {
      await store.close()
    }
    const earlier = Array.from({ length: Math.min(TAKEN_BACK, index + 1) }, (_, back) => `index ${index - back}`)
    for (const when of ['as it is', 'lost', ...earlier]) {
      const copy = join(base, 'copy')
      await cp(directory, copy, { recursive: true, preserveTimestamps: true })
      if (when === 'lost') await rm(layoutOf(copy).index)
      else if (when !== 'as it is') await cp(join(base, when), layoutOf(copy).index)
      await expectKept(copy, kept, `${JSON.stringify(steps.slice(0, index + 1))}: ${when}`)
      await rm(copy, { recursive: true, force: true })
      looked += 1
    }
  }
  return looked
}

/** A power cut takes back what was not synced, which may be several steps. */
const TAKEN_BACK = 3

const v0 = 'unixfs-v0-2015'
const v1 = 'unixfs-v1-2025'

describe('whatever is pinned outlasts its index', () => {
  it.each<[string, Step[]]>([
    ['a wrapped leaf that is a file of its own', [{ what: 'add', size: 100_000, profile: v0 }]],
    [
      'a wrapped leaf over bytes of an earlier pack',
      [
        { what: 'add', size: 10_000, profile: v1 },
        { what: 'add', size: 10_000, profile: v0 },
        { what: 'gc', size: 0, profile: v1 },
      ],
    ],
    [
      'a wrapped leaf whose bytes left their pack',
      [
        { what: 'add', size: 10_000, profile: v0 },
        { what: 'path', size: 0, profile: v1 },
        { what: 'gc', size: 0, profile: v1 },
      ],
    ],
    [
      'bytes that left their pack',
      [
        { what: 'add', size: 10_000, profile: v1 },
        { what: 'path', size: 0, profile: v1 },
        { what: 'gc', size: 0, profile: v1 },
      ],
    ],
    [
      "a copy of what was the user's",
      [
        { what: 'refer', size: 1_500_000, profile: v1 },
        { what: 'add', size: 1_500_000, profile: v1 },
      ],
    ],
    [
      'a block of which the user has the file too',
      [
        { what: 'block', size: 100_000, profile: v1 },
        { what: 'refer', size: 100_000, profile: v0 },
      ],
    ],
  ])('%s', async (_, steps) => {
    expect(await walk(steps)).toBeGreaterThanOrEqual(steps.length * 3)
  })

  it('and after any steps', async () => {
    const step = fc.record({
      what: fc.constantFrom<Step['what'][]>('add', 'add', 'refer', 'block', 'path', 'gc', 'remove', 'rebuild'),
      size: fc.constantFrom(...SIZES),
      profile: fc.constantFrom(...PROFILES),
    })
    const numRuns = soak(5, 600)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 8 }), async (steps) => {
        expect(await walk(steps)).toBeGreaterThanOrEqual(steps.length * 3)
      }),
      { numRuns },
    )
  })
})
