import type { CID } from '@x/cid'
import { describe, expect, it } from 'vitest'

import type { ContentStore } from '../content-store.ts'
import { profiles } from './content-adding.ts'
import type { ContentStoreSetup } from './content-store.ts'
import { collect, concat, directoryOf, sameBytes, sampleBytes, texts } from './sample.ts'

const WRITERS = 4

/** Files that all writers add, so that what one removes another still needs. */
const shared = [sampleBytes(1, 10), sampleBytes(2, 5000), sampleBytes(3, 1_100_000)]

interface Kept {
  cid: CID
  files: Readonly<Record<string, Uint8Array>>
}

export function describeWriters({ open, writerSeeds = [1, 2, 3], writerSteps = 24 }: ContentStoreSetup): void {
  describe('several writers at once', () => {
    it.each(writerSeeds)('each keeps what it keeps, whatever the others do: seed %d', async (seed) => {
      const store = await open()
      const writers = Array.from({ length: WRITERS }, (_, index) =>
        write(store, `${seed}/${index}`, { seed: seed * 100 + index, steps: writerSteps }),
      )
      const over = new AbortController()
      const broken: CID[] = []
      const collecting = (async () => {
        while (!over.signal.aborted) {
          await store.gc()
          broken.push(...(await listedInPart(store)))
          // A store in memory would let nobody else in.
          await new Promise((resolve) => setTimeout(resolve))
        }
      })()
      const kept = (await Promise.all(writers)).flat()
      over.abort()
      await collecting
      expect(texts(broken)).toEqual([])
      expect(kept.length).toBeGreaterThan(WRITERS)
      for await (const { cid } of store.roots()) expect(await store.verify(cid)).toBeGreaterThan(0)
      const wanted = texts(kept.map(({ cid }) => cid))
      await store.gc()
      expect(texts((await collect(store.roots())).map(({ cid }) => cid))).toEqual(wanted)
      for (const root of kept) await assertWhole(store, root)
    })
  })
}

/** Adds, reads, unpins, names, removes and collects, in an order drawn from `seed`. Resolves to what it has kept. */
async function write(
  store: ContentStore,
  name: string,
  { seed, steps }: { seed: number; steps: number },
): Promise<Kept[]> {
  const kept: Kept[] = []
  const draws = sampleBytes(seed, 4 * steps)
  for (let step = 0; step < steps; step++) {
    const [what = 0, which = 0, how = 0, where = 0] = draws.subarray(4 * step)
    const chosen = kept[which % Math.max(1, kept.length)]
    if (what < 120 || !chosen) {
      const files = {
        shared: shared[which % shared.length] ?? new Uint8Array(),
        own: sampleBytes(seed * 1000 + step, where * 40),
      }
      const profile = profiles[how % profiles.length]
      // A name keeps it as well as a pin.
      const named = where % 3 === 0 ? { name: `${name}/${step}`, pin: false } : {}
      const { cid } = await store.add(directoryOf(files), { profile, ...named })
      kept.push({ cid, files })
      // One that nobody keeps: it is there until it is collected, and never half of it.
      await store.add(directoryOf({ ...files, loose: sampleBytes(seed * 1000 + step, 50) }), { pin: false })
    } else if (what < 170) {
      await assertWhole(store, chosen)
    } else if (what < 195) {
      kept.splice(kept.indexOf(chosen), 1)
      await store.remove(chosen.cid)
    } else if (what < 220) {
      // From one that keeps it to the other.
      await store.names.set(`${name}/moved`, chosen.cid)
      await store.unpin(chosen.cid)
      await store.pin(chosen.cid)
      await store.names.delete(`${name}/moved`)
    } else {
      await store.gc()
    }
  }
  return kept
}

/** Roots that are listed though part of them is not held. */
async function listedInPart(store: ContentStore): Promise<CID[]> {
  const listed = async (): Promise<CID[]> => (await collect(store.roots())).map(({ cid }) => cid)
  const partial: CID[] = []
  for (const cid of await listed()) if (!(await store.has(cid))) partial.push(cid)
  if (partial.length === 0) return []
  // One that was collected meanwhile is listed no more.
  const still = new Set(texts(await listed()))
  return partial.filter((cid) => still.has(String(cid)))
}

async function assertWhole(store: ContentStore, { cid, files }: Kept): Promise<void> {
  expect(await store.has(cid)).toBe(true)
  for (const [path, bytes] of Object.entries(files)) {
    expect(sameBytes(await concat(store.cat(cid, { path })), bytes), `${cid}/${path}`).toBe(true)
  }
}
