import type { CDPSession } from '@vitest/browser-playwright'
import { expect, it, onTestFinished } from 'vitest'
import { cdp } from 'vitest/browser'

import { openOpfsStore, type OpfsStore } from '../src/index.ts'
import { collect, dataFiles, indexBytes, storeOfThree, writeIndex } from './opfs-setup.ts'

/** From here on the browser has so much more room for this origin; `undefined`: as much as it wants. Ends with the test. */
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

  for (const time of ['first', 'again']) {
    const store = await openOpfsStore({ directory })
    expect([time, await namesOf(store)]).toEqual([time, ['one', 'two']])
    for (const { cid } of await collect(store.roots())) await store.verify(cid)
    await expect(store.add(new Uint8Array(100_000).fill(4))).rejects.toMatchObject({ code: 'NO_SPACE' })
    expect((await store.status()).details).toMatchObject({ dataFiles: 2, strays: 1 })
    await store.close()
    // Nothing was lost by what could not be written.
    expect((await dataFiles(directory)).toSorted()).toEqual(files)
  }

  const store = await openFull(directory)
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
