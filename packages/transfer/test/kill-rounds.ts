import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { openFsStore } from '@x/backend-fs'
import { encodeOutboard, parseCid } from '@x/cid'
import { expect } from 'vitest'

import {
  bytesOf,
  fileServer,
  isSame,
  MIB,
  outboardOf,
  sha256,
  someBytes,
  startDownload,
  tempDirectory,
} from './support.ts'

/** Leaves that two requests have in flight, and what the system holds of them. */
const LOST_BYTES = 4 * MIB

/** Kills downloads of one file at random moments until one gets through. What was recorded is never fetched again. */
export async function killRounds({
  kills,
  size,
  by,
}: {
  kills: number
  size: number
  by: 'root' | 'sha256'
}): Promise<{ killed: number; served: number; mostServed: number }> {
  const folder = await tempDirectory()
  const bytes = someBytes(size)
  const server = await fileServer({ model: bytes }, { bytesPerSecond: 12 * MIB })
  const outboard = await outboardOf(bytes)
  const outboardPath = join(folder, 'outboard')
  await writeFile(outboardPath, encodeOutboard(outboard))
  const directory = join(folder, 'store')
  const task = {
    directory,
    url: server.url,
    size,
    ...(by === 'root'
      ? { root: outboard.root.toString(), outboard: outboardPath }
      : { sha256: Buffer.from(sha256(bytes)).toString('hex') }),
  }
  let killed = 0
  for (let isDone = false; !isDone;) {
    const child = startDownload(task)
    for await (const { type, root } of child.events) {
      if (type === 'file-started' && killed < kills) {
        const share = (size / (12 * MIB) / (kills + 1)) * 1000
        setTimeout(() => child.process.kill('SIGKILL'), Math.random() * 1.5 * share)
      }
      if (type !== 'done') continue
      isDone = true
      expect(root).toBe(outboard.root.toString())
    }
    const { errors } = await child.ended
    expect(errors).toBe('')
    if (!isDone) killed += 1
  }
  const store = await openFsStore({ directory })
  try {
    expect(isSame(await bytesOf(store.cat(parseCid(outboard.root.toString()))), bytes)).toBe(true)
    expect((await store.status()).details).toMatchObject({ partials: 0 })
  } finally {
    await store.close()
  }
  console.info(`killed ${killed} times; served ${(server.served / size).toFixed(3)} of the bytes`)
  return { killed, served: server.served, mostServed: size + killed * LOST_BYTES }
}
