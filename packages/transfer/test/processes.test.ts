import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { encodeOutboard } from '@x/cid'
import { expect, it } from 'vitest'

import { eventsOf, startDownload } from './child.ts'
import { killRounds } from './kill-rounds.ts'
import { fileServer, MIB, outboardOf, sha256, someBytes, tempDirectory } from './support.ts'

const SIZE = 16 * MIB

async function setUp(by: 'root' | 'sha256') {
  const folder = await tempDirectory()
  const bytes = someBytes(SIZE)
  const server = await fileServer({ model: bytes }, { bytesPerSecond: 12 * MIB })
  const outboard = await outboardOf(bytes)
  const outboardPath = join(folder, 'outboard')
  await writeFile(outboardPath, encodeOutboard(outboard))
  const digest =
    by === 'root'
      ? { root: outboard.root.toString(), outboard: outboardPath }
      : { sha256: Buffer.from(sha256(bytes)).toString('hex') }
  return {
    server,
    root: outboard.root,
    task: { directory: join(folder, 'store'), url: server.url, size: SIZE, ...digest },
  }
}

it.each(['root', 'sha256'] as const)(
  'two processes that want one file download it once, known by its %s',
  async (by) => {
    const { server, root, task } = await setUp(by)
    const children = [startDownload(task), startDownload(task)]
    const told = await Promise.all(children.map(eventsOf))
    for (const child of children) expect(await child.ended).toEqual({ code: 0, errors: '' })
    for (const events of told) expect(events.at(-1)).toMatchObject({ type: 'done', root: root.toString() })
    expect(told.flat().filter(({ type }) => type === 'file-waiting').length).toBeGreaterThan(0)
    expect(told.flat().filter(({ type }) => type === 'file-started')).toHaveLength(1)
    expect(server.served).toBe(SIZE)
  },
)

it('who waits takes over when the other one is killed, and goes on from there', async () => {
  const { server, root, task } = await setUp('root')
  const first = startDownload(task)
  let second: ReturnType<typeof startDownload> | undefined
  for await (const { type } of first.events) {
    if (type !== 'file-started') continue
    second = startDownload(task)
    break
  }
  if (!second) throw new Error('the first one did not start')
  const waiting: Record<string, unknown>[] = []
  for await (const event of second.events) {
    waiting.push(event)
    if (event.type === 'file-waiting' && first.process.exitCode === null) first.process.kill('SIGKILL')
  }
  expect(await second.ended).toEqual({ code: 0, errors: '' })
  expect(waiting.at(-1)).toMatchObject({ type: 'done', root: root.toString() })
  expect(server.served).toBeLessThanOrEqual(SIZE + 4 * MIB)
})

it.each(['root', 'sha256'] as const)('a download survives kill -9 at any moment, known by its %s', async (by) => {
  const { killed, served, mostServed } = await killRounds({ kills: 3, size: 24 * MIB, by })
  expect(killed).toBeGreaterThan(0)
  expect(served).toBeLessThanOrEqual(mostServed)
})
