// What a server holds while many download a large file at once and do not read it, beside connections that are idle.
import { createHash } from 'node:crypto'

import { Pool } from 'undici'

import { runJob, timed } from '../harness/job.ts'
import { memoryOf } from '../infer/callers.ts'
import { createBarrier } from './barrier.ts'
import { highestWhile } from './highest-memory.ts'
import { openIdle, openOf, socketsOf, untilSockets } from './idle.ts'
import { inFlight } from './in-flight.ts'
import { ourServer, type OurServer } from './our-server.ts'
import { startServerProcess } from './server-process.ts'

interface AskedOfDownloads extends OurServer {
  idle: number
  downloads: number
  /** Of the file. */
  cid: string
  /** Hex. */
  sha256: string
  bytes: number
}

await runJob<AskedOfDownloads>(async (asked) => {
  const server = await startServerProcess(ourServer({ ...asked, servesStore: true }))
  const heldMB = (): number => memoryOf(server.pid).privateMB
  try {
    const none = socketsOf(server.pid)
    await downloadAll(server.url, asked, async () => undefined)
    await untilSockets(server.pid, none)
    const beforeMB = heldMB()
    const idle = await openIdle(server.url, asked.idle)
    const idleMB = heldMB()
    let seen = { open: Number.NaN, streaming: Number.NaN }
    const { value, highestMB: busyMB } = await highestWhile(server.pid, () =>
      timed(() =>
        downloadAll(server.url, asked, async () => {
          seen = { open: openOf(idle), streaming: await inFlight(server.url) }
        }),
      ),
    )
    const { seconds } = value
    for (const socket of idle) socket.destroy()
    await untilSockets(server.pid, none)
    return {
      seconds,
      evidence: { 'file, sha256': asked.sha256 },
      figures: {
        beforeMB,
        idleMB,
        busyMB,
        ...seen,
        afterMB: heldMB(),
        moreMB: Math.max(idleMB, busyMB) - beforeMB,
        megabytesPerSecond: (asked.downloads * asked.bytes) / 1e6 / seconds,
      },
    }
  } finally {
    await server.stop()
  }
})

/**
 * Downloads the file so many times at once, and reads none of it further than to its first bytes until all have begun.
 *
 * @throws {Error} One is not the file.
 */
async function downloadAll(
  url: string,
  { cid, sha256, downloads }: AskedOfDownloads,
  whenAllBegan: () => Promise<void>,
): Promise<void> {
  const pool = new Pool(url, { connections: downloads, pipelining: 1 })
  const barrier = createBarrier(downloads, whenAllBegan)
  const download = async (): Promise<void> => {
    const { statusCode, body } = await pool.request({ path: `/storage/v1/cat/${cid}`, method: 'GET' })
    if (statusCode !== 200) throw new Error(`${statusCode}: ${await body.text()}`)
    const hash = createHash('sha256')
    let hasBegun = false
    for await (const bytes of body) {
      if (!hasBegun) barrier.begin()
      hasBegun = true
      await barrier.all
      hash.update(bytes)
    }
    const digest = hash.digest('hex')
    if (digest !== sha256) throw new Error(`a download has the sha256 ${digest}, not ${sha256}`)
  }
  try {
    await Promise.all(Array.from({ length: downloads }, download))
  } finally {
    barrier.stop()
    await pool.destroy()
  }
}
