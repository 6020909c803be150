import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { parseCid } from '@x/cid'
import { expect, it } from 'vitest'

import { openFsStore } from '../src/index.ts'
import { startChild } from './child.ts'
import { bytesOf, collect, filesBelow, tempDirectory } from './support.ts'

const ROUNDS = 15
const CHILDREN = 2

it(
  `what was acknowledged is there after kill -9, ${ROUNDS} rounds of ${CHILDREN} processes`,
  { timeout: 120_000 },
  async () => {
    const directory = join(await tempDirectory(), 'store')
    const acknowledged = new Map<string, string>()
    let killed = 0
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(
        Array.from({ length: CHILDREN }, async (_, number) => {
          const child = startChild('add-until-killed', directory, `p${round}-${number}`)
          // Progress comes at every step of an add; the kill reaches the child a little later, wherever it then is.
          let left = 1 + Math.floor(Math.random() * 60)
          for await (const event of child.events) {
            if (event.type === 'added') acknowledged.set(String(event.name), String(event.cid))
            if (--left === 0) child.process.kill('SIGKILL')
          }
          killed++
          expect((await child.ended).errors).toBe('')
        }),
      )
      const store = await openFsStore({ directory })
      expect(await readdir(join(directory, 'tmp'))).toEqual([])
      const roots = await collect(store.roots())
      const listed = new Set(roots.map(({ cid }) => cid.toString()))
      for (const [name, cid] of acknowledged) {
        expect(listed).toContain(cid)
        expect((await store.names.get(name))?.cid.toString()).toBe(cid)
      }
      // One add of each process may have been done and not yet said so. Everything that is listed is whole.
      expect(listed.size).toBeLessThanOrEqual(new Set(acknowledged.values()).size + killed)
      for (const { cid, size } of roots) expect(await store.verify(cid)).toBe(size)
      expect(await collect(store.pins())).toHaveLength(listed.size)
      await store.close()
    }
    expect(acknowledged.size).toBeGreaterThan(0)
    const store = await openFsStore({ directory })
    await store.gc()
    for (const cid of acknowledged.values()) expect(await store.verify(parseCid(cid))).toBe(2_100_050)
    expect(await filesBelow(join(directory, 'quarantine'))).toEqual([])
    console.info(`crash test: ${killed} processes killed, ${acknowledged.size} adds acknowledged and all of them whole`)
  },
)

it('two processes that add the same content at once both get it', async () => {
  const directory = join(await tempDirectory(), 'store')
  const children = [
    startChild('add-until-killed', directory, 'same'),
    startChild('add-until-killed', directory, 'same'),
  ]
  const cids = await Promise.all(
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
  expect(cids[0]).toEqual(cids[1])
  const store = await openFsStore({ directory })
  for (const cid of cids[0] ?? []) {
    expect((await bytesOf(store.cat(parseCid(cid), { path: 'large' }))).length).toBe(2_100_000)
  }
})

it('counts right when four processes compare and set one name', async () => {
  const directory = join(await tempDirectory(), 'store')
  const children = Array.from({ length: 4 }, () => startChild('count-up', directory, '10'))
  for (const child of children) expect(await child.ended).toEqual({ code: 0, errors: '' })
  const store = await openFsStore({ directory })
  expect((await store.names.get('counter'))?.metadata).toEqual({ count: 40 })
})

it('does not collect while another process adds, and does once that was killed', async () => {
  const directory = join(await tempDirectory(), 'store')
  const child = startChild('add-forever', directory)
  for await (const event of child.events) {
    expect(event).toEqual({ type: 'adding' })
    break
  }
  const store = await openFsStore({ directory })
  expect(await readdir(join(directory, 'tmp'))).toHaveLength(1)
  await expect(store.gc()).rejects.toMatchObject({
    code: 'IN_USE',
    message: expect.stringContaining(String(child.process.pid)),
  })
  const other = await store.add(new Uint8Array(10), { pin: false })
  child.process.kill('SIGKILL')
  await child.ended
  expect(await store.gc()).toMatchObject({ roots: [other.cid] })
  const again = await openFsStore({ directory })
  expect(await readdir(join(directory, 'tmp'))).toEqual([])
  await again.close()
})
