import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { encodeOutboard } from '@x/cid'
import { expect, it } from 'vitest'

import { killRounds } from './kill-rounds.ts'
import { fileServer, MIB, outboardOf, sha256, someBytes, startDownload, tempDirectory } from './support.ts'

const SIZE = 10 * MIB

/** Its server stops in the middle until it is told to go on. */
async function setUp(by: 'root' | 'sha256') {
  const folder = await tempDirectory()
  const bytes = someBytes(SIZE)
  const goOn = Promise.withResolvers<void>()
  const gate = (served: number): Promise<void> | undefined => (served > SIZE / 2 ? goOn.promise : undefined)
  const server = await fileServer({ model: bytes }, { bytesPerSecond: 12 * MIB, gate })
  const outboard = await outboardOf(bytes)
  const outboardPath = join(folder, 'outboard')
  await writeFile(outboardPath, encodeOutboard(outboard))
  const digest =
    by === 'root'
      ? { root: outboard.root.toString(), outboard: outboardPath }
      : { sha256: Buffer.from(sha256(bytes)).toString('hex') }
  const task = { directory: join(folder, 'store'), url: server.url, size: SIZE, ...digest }
  return { server, root: outboard.root, task, goOn: goOn.resolve }
}

it.each(['root', 'sha256'] as const)(
  'two processes that want one file download it once, known by its %s',
  async (by) => {
    const { server, root, task, goOn } = await setUp(by)
    const children = [startDownload(task), startDownload(task)]
    const told = await Promise.all(
      children.map(async (child) => {
        const events: Record<string, unknown>[] = []
        for await (const event of child.events) {
          events.push(event)
          if (event.type === 'file-waiting') goOn()
        }
        return events
      }),
    )
    for (const child of children) expect(await child.ended).toEqual({ code: 0, errors: '' })
    for (const events of told) expect(events.at(-1)).toMatchObject({ type: 'done', root: root.toString() })
    expect(told.flat().filter(({ type }) => type === 'file-started')).toHaveLength(1)
    expect(server.served).toBe(SIZE)
  },
)

it('who waits takes over when the other one is killed, and goes on from there', async () => {
  const { server, root, task, goOn } = await setUp('root')
  const first = startDownload(task)
  for await (const { type } of first.events) if (type === 'file-started') break
  const second = startDownload(task)
  const told: Record<string, unknown>[] = []
  for await (const event of second.events) {
    told.push(event)
    if (event.type !== 'file-waiting' || first.process.killed) continue
    first.process.kill('SIGKILL')
    await first.ended
    goOn()
  }
  expect(await second.ended).toEqual({ code: 0, errors: '' })
  expect(told.at(-1)).toMatchObject({ type: 'done', root: root.toString() })
  expect(server.served).toBeGreaterThan(SIZE / 2)
  expect(server.served).toBeLessThanOrEqual(SIZE + 4 * MIB)
})

// By its root, and by either with many kills, in processes.full.test.ts.
it('a download survives kill -9 at any moment, known by its sha256', async () => {
  const { killed, served, mostServed } = await killRounds({ kills: 2, size: 16 * MIB, by: 'sha256' })
  expect(killed).toBeGreaterThan(0)
  expect(served).toBeLessThanOrEqual(mostServed)
})
