import { CID } from '@x/cid'
import { expect, it } from 'vitest'

import { sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { sharedKubo } from './shared-kubo.ts'
import { MIB, openTestSource } from './support.ts'

const useKubo = sharedKubo({ online: false, profiles: ['unixfs-v1-2025'] })

it('reads a file of 2 GiB in little memory', async () => {
  const kubo = useKubo()
  const leaf = sampleBytes(71, MIB)
  async function* leaves(): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < 2048; index++) {
      new DataView(leaf.buffer).setUint32(0, index)
      yield leaf.slice()
    }
  }
  const { stdout } = await kubo.ipfs(['add', '-Q'], { input: leaves() })
  const { source } = await openTestSource([kubo.gateway], { stallTimeoutMs: 30_000 })
  const before = process.memoryUsage().rss
  let [bytes, most] = [0, before]
  for await (const piece of source.cat(CID.parse(stdout.toString().trim()))) {
    bytes += piece.length
    most = Math.max(most, process.memoryUsage().rss)
  }
  console.log(`2 GiB: at most ${Math.round((most - before) / MIB)} MiB more memory`)
  expect(bytes).toBe(2048 * MIB)
  expect(most - before).toBeLessThan(300 * MIB)
})
