import { addModel, openModel, type OpenedModel } from '@x/model-loader'
import { openMemoryStore, type DirectorySource } from '@x/storage-core'
import { expect, it } from 'vitest'

import { openingAhead } from '../src/worker/open-ahead.ts'

const CID_OF_NONE = 'ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'

/** No more of a model than makes it one. */
const modelOf = (type: string): DirectorySource => {
  const bytes = new TextEncoder().encode(JSON.stringify({ model_type: type }))
  async function* config(): AsyncGenerator<Uint8Array> {
    yield bytes
  }
  return { type: 'directory', entries: () => [['config.json', { type: 'file', open: config }]] }
}

/** A store, what is opened ahead of it, and what was opened and closed in it. */
async function opened() {
  const store = await openMemoryStore()
  const asked: string[] = []
  let closed = 0
  const {
    begin,
    letGo,
    openModel: open,
  } = openingAhead(async (reference, options): Promise<OpenedModel> => {
    asked.push(reference)
    const model = await openModel(store, reference, options)
    return {
      ...model,
      async close() {
        closed += 1
        await model.close()
      },
    }
  })
  const add = async (type: string, name?: string): Promise<string> =>
    `ipfs://${(await addModel(store, modelOf(type), { name })).cid}`
  return { begin, letGo, open, add, asked, closed: () => closed }
}

it('gives what was begun to who asks first, and opens it again for others', async () => {
  const { begin, open, add, asked } = await opened()
  const reference = await add('bert')
  const other = await add('gpt2')
  begin(reference)
  expect(`ipfs://${(await open(other, {})).cid}`).toBe(other)
  expect(`ipfs://${(await open(reference, {})).cid}`).toBe(reference)
  expect(asked).toEqual([reference, other])
  expect(`ipfs://${(await open(reference, {})).cid}`).toBe(reference)
  expect(asked).toEqual([reference, other, reference])
})

it('begins nothing by name, which is what it is when it is asked for', async () => {
  const { begin, open, add, asked } = await opened()
  await add('bert', 'org/model')
  begin('org/model')
  const now = await add('gpt2', 'org/model')
  expect(`ipfs://${(await open('org/model', {})).cid}`).toBe(now)
  expect(asked).toEqual(['org/model'])
})

it('says what is wrong with a reference to who asks for it, and not before', async () => {
  const { begin, open, asked } = await opened()
  for (const [reference, code] of [
    [CID_OF_NONE, 'NOT_FOUND'],
    ['ipfs://no cid', 'INVALID_INPUT'],
  ] as const) {
    begin(reference)
    await expect(open(reference, {})).rejects.toMatchObject({ code })
  }
  expect(asked.filter((reference) => reference === CID_OF_NONE)).toHaveLength(2)
})

it('closes what nobody waits for any more', async () => {
  const { begin, open, add, closed } = await opened()
  const reference = await add('bert')
  begin(reference)
  const stop = new AbortController()
  const opening = open(reference, { signal: stop.signal })
  stop.abort(new Error('given up'))
  await expect(opening).rejects.toThrow('given up')
  expect(closed()).toBe(1)
})

it('closes what was begun and never asked for when its model is unloaded, and no other', async () => {
  const { begin, letGo, open, add, asked, closed } = await opened()
  const reference = await add('bert')
  const other = await add('gpt2')
  begin(reference)
  await letGo(other.replace('ipfs://', ''))
  expect(closed()).toBe(0)
  await letGo(reference.replace('ipfs://', ''))
  expect(closed()).toBe(1)
  expect(`ipfs://${(await open(reference, {})).cid}`).toBe(reference)
  expect(asked).toEqual([reference, reference])
})
