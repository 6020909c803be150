import { tmpdir } from 'node:os'

import { expect, it } from 'vitest'

import { sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { openNode, openStore } from './support.ts'

// Memory does not grow with a file, and a slow reader slows the daemon.

const MIB = 1024 * 1024
const FILE_MIB = 1024
const MOST_MIB = 200

/** Highest resident memory over that at the start, in MiB, looked at as pieces pass. */
function createGauge(): { look: () => void; grown: () => number } {
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let most = before
  return {
    look: () => (most = Math.max(most, process.memoryUsage.rss())),
    grown: () => (most - before) / MIB,
  }
}

it(`a file of ${FILE_MIB} MiB is added and read in less than ${MOST_MIB} MiB`, async (context) => {
  const node = await openNode(context, { parent: tmpdir() })
  const store = await openStore(node)
  const piece = sampleBytes(1, MIB)
  const adding = createGauge()
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < FILE_MIB; index++) {
      new DataView(piece.buffer).setUint32(0, index)
      adding.look()
      yield piece
    }
  }
  const { cid, size } = await store.add(source(), { name: 'large' })
  expect(size).toBe(FILE_MIB * MIB)

  const reading = createGauge()
  let read = 0
  for await (const part of store.cat(cid)) {
    read += part.length
    reading.look()
    // Now and then it is away, for as long as the daemon takes to answer something else: nothing must pile up meanwhile.
    if (read % (64 * MIB) === 0) await store.status()
  }
  expect(read).toBe(size)
  console.log(`adding took ${adding.grown().toFixed(0)} MiB, reading ${reading.grown().toFixed(0)} MiB`)
  expect(adding.grown()).toBeLessThan(MOST_MIB)
  expect(reading.grown()).toBeLessThan(MOST_MIB)
})
