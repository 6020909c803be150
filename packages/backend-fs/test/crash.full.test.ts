import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { parseCid } from '@x/cid'
import { expect, it } from 'vitest'

import { openFsStore } from '../src/index.ts'
import { soak } from './soak.ts'
import { bytesOf, collect, filesBelow, startChild, tempDirectory } from './support.ts'

const { rounds: ROUNDS, processes: PROCESSES } = soak({ rounds: 8, processes: 3 }, { rounds: 400, processes: 4 })

it(
  `what was acknowledged is there after kill -9, ${ROUNDS} rounds of ${PROCESSES} processes`,
  { timeout: ROUNDS * 150_000 },
  async () => {
    const directory = join(await tempDirectory(), 'store')
    /** What names point to, as far as it was said. */
    const acknowledged = new Map<string, string>()
    const tally = { killed: 0, added: 0, collected: 0, rebuilt: 0, duringAdd: 0, duringGc: 0, duringRebuild: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(
        Array.from({ length: PROCESSES }, async (_, number) => {
          const child = startChild('churn', directory, `p${round}-${number}`)
          // It says much while it adds; the kill reaches it a little later, wherever it then is. What is killed in the
          // other two thirds is a collection or a rebuilding, within its first milliseconds.
          const inside = [undefined, 'collecting', 'rebuilding'][(round + number) % 3]
          let left = inside === undefined ? 1 + Math.floor(Math.random() * 120) : 600
          const killSoon = (): void => void setTimeout(() => child.process.kill('SIGKILL'), Math.random() * 25)
          let doing = ''
          for await (const { type, name, cid } of child.events) {
            if (type === 'added') acknowledged.set(String(name), String(cid))
            // From here on it may be free or not.
            if (type === 'freeing') acknowledged.delete(String(name))
            if (type === 'added') tally.added++
            if (type === 'collected') tally.collected++
            if (type === 'rebuilt') tally.rebuilt++
            if (typeof type === 'string' && type !== 'progress') doing = type
            if (--left === 0) child.process.kill('SIGKILL')
            if (type === inside && acknowledged.size > 0) killSoon()
          }
          tally.killed++
          if (doing === 'adding') tally.duringAdd++
          if (doing === 'collecting') tally.duringGc++
          if (doing === 'rebuilding') tally.duringRebuild++
          expect((await child.ended).errors).toBe('')
        }),
      )
      const warnings: string[] = []
      const store = await openFsStore({ directory, onWarning: (text) => warnings.push(text) })
      expect(await readdir(join(directory, 'tmp'))).toEqual([])
      for (const [name, cid] of acknowledged) expect((await store.names.get(name))?.cid.toString()).toBe(cid)
      const roots = await collect(store.roots())
      // Everything that is listed is whole, whether it was acknowledged or not.
      for (const { cid, size } of roots) expect(await store.verify(cid)).toBe(size)
      // One add of each process may have been done and not yet said so.
      const unsaid = roots.filter(({ names }) => names.some((name) => !acknowledged.has(name)))
      expect(unsaid.length).toBeLessThanOrEqual(tally.killed)
      expect(await filesBelow(join(directory, 'quarantine'))).toEqual([])
      // Without journal and index the same roots are found.
      if (round % 4 === 3) await store.rebuild()
      await store.gc()
      for (const { cid, size } of await collect(store.roots())) expect(await store.verify(cid)).toBe(size)
      // A store that only grows makes later rounds slow; what goes is not what was acknowledged last.
      if (acknowledged.size > 60) {
        for (const name of [...acknowledged.keys()].slice(0, 30)) {
          await store.names.delete(name)
          acknowledged.delete(name)
        }
        for (const { cid, names } of await collect(store.roots())) if (names.length === 0) await store.remove(cid)
      }
      await store.close()
    }
    expect(tally.added).toBeGreaterThan(0)
    console.info(`crash test: ${JSON.stringify(tally)}, ${acknowledged.size} acknowledged at the end and all whole`)
  },
)

it('two processes that add the same content at once both get it', async () => {
  const directory = join(await tempDirectory(), 'store')
  const children = [startChild('churn', directory, 'same'), startChild('churn', directory, 'same')]
  const added = await Promise.all(
    children.map(async (child) => {
      const found: string[] = []
      for await (const event of child.events) {
        if (event.type === 'added') found.push(String(event.cid))
        if (found.length === 6) child.process.kill('SIGKILL')
      }
      expect((await child.ended).errors).toBe('')
      return found.slice(0, 6)
    }),
  )
  expect(added[0]).toEqual(added[1])
  const store = await openFsStore({ directory })
  for (const cid of added[0] ?? []) {
    expect((await bytesOf(store.cat(parseCid(cid), { path: 'large' }))).length).toBe(1_200_000)
  }
  await store.close()
})

it('counts right when four processes compare and set one name', async () => {
  const directory = join(await tempDirectory(), 'store')
  const children = Array.from({ length: 4 }, () => startChild('count-up', directory, '10'))
  for (const child of children) expect(await child.ended).toEqual({ code: 0, errors: '' })
  const store = await openFsStore({ directory })
  expect((await store.names.get('counter'))?.metadata).toEqual({ count: 40 })
})

it('collects while another process adds, and what that one leaves is swept', async () => {
  const directory = join(await tempDirectory(), 'store')
  const child = startChild('add-forever', directory)
  for await (const event of child.events) {
    expect(event).toEqual({ type: 'adding' })
    break
  }
  const store = await openFsStore({ directory })
  const other = await store.add(new Uint8Array(10), { pin: false })
  expect(await store.gc()).toMatchObject({ roots: [other.cid], blocks: 1 })
  expect(await readdir(join(directory, 'tmp'))).toHaveLength(1)
  child.process.kill('SIGKILL')
  await child.ended
  const again = await openFsStore({ directory })
  expect(await readdir(join(directory, 'tmp'))).toEqual([])
  await again.close()
})
