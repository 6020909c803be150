// Ours: lists all roots of a store just opened, then looks up single ones.
import { createHash } from 'node:crypto'

import { openFsStore } from '@x/backend-fs'
import { cidOf, RAW } from '@x/cid'

import { runJob, timed } from '../harness/job.ts'
import { spread } from '../harness/statistics.ts'

const LOOK_UPS = 1000

await runJob<{ store: string; entries: number }>(async ({ store: directory, entries }) => {
  const opened = await timed(() => openFsStore({ directory }))
  const store = opened.value
  const list = await timed(async () => {
    let count = 0
    for await (const _ of store.roots()) count += 1
    return count
  })
  const found: number[] = []
  const seen = createHash('sha256')
  for (let index = 0; index < LOOK_UPS; index += 1) {
    const at = (index * 7919) % entries
    const cid = await cidOf(RAW, Buffer.from(`root ${at}`))
    const { seconds, value } = await timed(() => store.stat(cid))
    found.push(seconds)
    seen.update(`${value.cid.toString()} ${value.size} `)
  }
  await store.close()
  return {
    seconds: list.seconds,
    figures: { open: opened.seconds, lookUp: spread(found).median, slowestLookUp: Math.max(...found) },
    evidence: { roots: String(list.value), seen: seen.digest('hex') },
  }
})
