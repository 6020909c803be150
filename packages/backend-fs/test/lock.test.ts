import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { createContext, type StoreContext } from '../src/context.ts'
import { layoutOf } from '../src/layout.ts'
import { isLocked, withLock } from '../src/lock.ts'
import { encodeOwner } from '../src/owner-file.ts'
import { thisProcess } from '../src/process-identity.ts'
import { openTemp } from './support.ts'

async function contextOf(): Promise<StoreContext> {
  const { directory } = await openTemp()
  return createContext({ layout: layoutOf(directory), readOnly: false, self: thisProcess(), warn: () => undefined })
}

it('lets one in at a time, in whatever order they come', async () => {
  const context = await contextOf()
  let inside = 0
  let most = 0
  const order: number[] = []
  await Promise.all(
    Array.from({ length: 12 }, (_, number) =>
      withLock(context, 'x', { waitMs: 20_000, purpose: 'test' }, async () => {
        most = Math.max(most, ++inside)
        await readdir(context.layout.locks)
        order.push(number)
        inside--
      }),
    ),
  )
  expect(most).toBe(1)
  expect(order).toHaveLength(12)
  expect(await readdir(join(context.layout.locks, 'x'))).toEqual(['12.free'])
  expect(await isLocked(context, 'x')).toBe(false)
})

it('is taken from the dead at once, and not from the living, who are named', async () => {
  const context = await contextOf()
  const directory = join(context.layout.locks, 'x')
  await mkdir(directory)
  await writeFile(join(directory, '7'), encodeOwner({ ...context.self, pid: 4_194_305 }))
  expect(await isLocked(context, 'x')).toBe(false)
  await withLock(context, 'x', { waitMs: 0, purpose: 'test' }, async () => {
    expect(await readdir(directory)).toEqual(['8'])
    expect(await isLocked(context, 'x')).toBe(true)
    await expect(withLock(context, 'x', { waitMs: 0, purpose: 'test' }, async () => 1)).rejects.toMatchObject({
      code: 'IN_USE',
    })
  })
  // Of an earlier process with our id, of before the machine started, and of a place that cannot be seen.
  for (const [owner, locked] of [
    [{ ...context.self, startedMs: context.self.startedMs - 60_000 }, false],
    [{ ...context.self, boot: 'before' }, false],
    [{ ...context.self, scope: 'container' }, true],
    [{ ...context.self, machine: 'elsewhere' }, true],
  ] as const) {
    await writeFile(join(directory, '99'), encodeOwner(owner))
    expect(await isLocked(context, 'x')).toBe(locked)
  }
  await writeFile(join(directory, '100'), '{"half')
  expect(await isLocked(context, 'x')).toBe(true)
})

it('is released when the work fails', async () => {
  const context = await contextOf()
  const failed = withLock(context, 'x', { waitMs: 0, purpose: 'test' }, () => Promise.reject(new Error('inside')))
  await expect(failed).rejects.toThrow('inside')
  expect(await isLocked(context, 'x')).toBe(false)
})
