import type { CDPSession } from '@vitest/browser-playwright'
import { expect, it, onTestFinished } from 'vitest'
import { cdp } from 'vitest/browser'

import { openOpfsStore, type OpfsStore } from '../src/index.ts'
import { collect, dataFiles, fresh, indexBytes, storeOfThree, writeIndex } from './opfs-setup.ts'

/**
 * From here on the browser has so much more room for this origin; `undefined`: as much as there is. In a private window, which is
 * what tests run in, Chromium 156 refuses new files then, and lets open ones grow.
 */
async function leaveRoom(bytes?: number): Promise<void> {
  const { origin } = globalThis.location
  const { usage = 0 } = await navigator.storage.estimate()
  const session: CDPSession = cdp()
  await session.send('Storage.overrideQuotaForOrigin', {
    origin,
    ...(bytes === undefined ? {} : { quotaSize: usage + bytes }),
  })
}

async function openFull(directory: string, options: { readOnly?: boolean } = {}): Promise<OpfsStore> {
  const store = await openOpfsStore({ directory, ...options })
  onTestFinished(() => store.close())
  return store
}

const namesOf = async (store: OpfsStore): Promise<string[]> =>
  (await collect(store.names.list())).map(({ name }) => name).toSorted()

it('opens where there is no room and the index was cut short, and gc makes room', async () => {
  onTestFinished(() => leaveRoom())
  const { directory, index, files } = await storeOfThree()
  await writeIndex(directory, index.slice(0, -9))
  await leaveRoom(0)

  const reader = await openFull(directory, { readOnly: true })
  expect(await namesOf(reader)).toEqual(['one', 'two'])
  for (const { cid } of await collect(reader.roots())) await reader.verify(cid)

  const first = await openOpfsStore({ directory })
  expect(await namesOf(first)).toEqual(['one', 'two'])
  for (const { cid } of await collect(first.roots())) await first.verify(cid)
  await expect(first.add(new Uint8Array(100_000).fill(4))).rejects.toMatchObject({ code: 'NO_SPACE' })
  await first.close()

  const store = await openFull(directory)
  // Nothing was lost by what could not be written.
  expect((await store.status()).details).toMatchObject({ dataFiles: 2, strays: 1 })
  expect((await dataFiles(directory)).toSorted()).toEqual(files)
  const strays = { roots: [], blocks: 1, freedBytes: 100_000 }
  expect(await store.gc({ dryRun: true })).toEqual(strays)
  expect(await store.gc()).toEqual(strays)
  expect(await store.gc()).toEqual({ roots: [], blocks: 0, freedBytes: 0 })
  expect((await store.status()).details).toMatchObject({ strays: 0 })
  expect(await dataFiles(directory)).toHaveLength(2)
  await store.add(new Uint8Array(90_000).fill(5), { name: 'five' })
  await store.close()
  expect(await namesOf(await openFull(directory))).toEqual(['five', 'one', 'two'])
  expect((await indexBytes(directory)).length).toBeGreaterThan(index.length - 9)
})

it('goes on with its index where there is no room to write it anew', async () => {
  onTestFinished(() => leaveRoom())
  const directory = fresh()
  const store = await openFull(directory)
  const { cid } = await store.add(Uint8Array.of(1))
  const note = 'x'.repeat(300_000)
  const setNote = (time: number): Promise<unknown> => store.names.set('note', cid, { metadata: { note, time } })
  for (let time = 0; time < 3; time++) await setNote(time)
  // For the note, after which the index is long enough to be written anew, and not for that.
  await leaveRoom(0)
  // After this one the index is long enough to be written anew.
  await setNote(3)
  await store.names.set('small', cid)
  await leaveRoom()
  for (let time = 4; time < 15; time++) await setNote(time)
  expect((await indexBytes(directory)).length).toBeLessThan(3_000_000)
  await store.close()
  const again = await openFull(directory)
  expect(await namesOf(again)).toEqual(['note', 'small'])
  expect(await again.names.get('note')).toMatchObject({ metadata: { time: 14 } })
})
