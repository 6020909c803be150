import { describe, expect, it, vi } from 'vitest'

import {
  addModel,
  giveName,
  listVersions,
  openModel,
  promoteVersion,
  registerVersion,
  resolveReference,
  rollBack,
} from '../src/index.ts'
import { collect, filesSource, stores, text, tinyBert } from './support.ts'

const NAME = 'org/tiny'
const variant = (note: string) => filesSource({ ...tinyBert(), 'note.txt': text(note) })

describe.each(stores)('in the %s store', (_kind, open) => {
  it('a name moves forward and back through its versions, and each stays what it was', async () => {
    const store = await open()
    const one = await addModel(store, variant('1'), { name: NAME, version: '1.0.0' })
    const two = await addModel(store, variant('2'), { name: NAME, version: '2.0.0' })
    expect(two).toMatchObject({ name: NAME, version: '2.0.0' })
    expect(await collect(listVersions(store, NAME))).toMatchObject([
      { version: '1.0.0', cid: one.cid, current: false },
      { version: '2.0.0', cid: two.cid, current: true },
    ])
    expect(await resolveReference(store, NAME)).toEqual({ cid: two.cid, name: NAME })
    expect(await resolveReference(store, `${NAME}@1.0.0`)).toEqual({ cid: one.cid, name: `${NAME}@1.0.0` })
    expect(await rollBack(store, NAME)).toEqual({ name: NAME, version: '1.0.0', cid: one.cid, previous: '2.0.0' })
    expect((await openModel(store, NAME)).cid).toEqual(one.cid)
    await expect(rollBack(store, NAME)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await promoteVersion(store, NAME, '2.0.0')
    await promoteVersion(store, NAME, '2.0.0')
    expect(await rollBack(store, NAME)).toMatchObject({ version: '1.0.0' })
  })

  it('a version never comes to mean another model', async () => {
    const store = await open()
    const one = await addModel(store, variant('1'), { name: NAME, version: '1' })
    const two = await addModel(store, variant('2'))
    await registerVersion(store, NAME, '1', one.cid)
    await expect(registerVersion(store, NAME, '1', two.cid)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining(`org/tiny@1 is ${one.cid} already`),
    })
    await expect(addModel(store, variant('3'), { name: NAME, version: '1' })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    expect(await collect(store.roots())).toHaveLength(2)
    expect((await resolveReference(store, `${NAME}@1`)).cid).toEqual(one.cid)
  })

  it('a model that is added under the name without a version can be gone back from', async () => {
    const store = await open()
    const one = await addModel(store, variant('1'), { name: NAME, version: '1' })
    const two = await addModel(store, variant('2'), { name: NAME })
    expect((await resolveReference(store, NAME)).cid).toEqual(two.cid)
    expect((await collect(listVersions(store, NAME))).map(({ current }) => current)).toEqual([false])
    expect(await rollBack(store, NAME)).toEqual({ name: NAME, version: '1', cid: one.cid })
  })

  it('a version that somebody promotes while the name is being moved can be gone back to', async () => {
    const store = await open()
    await addModel(store, variant('1'), { name: NAME, version: '1' })
    const two = await addModel(store, variant('2'))
    await registerVersion(store, NAME, '2', two.cid)
    const three = await addModel(store, variant('3'))
    const get = store.names.get.bind(store.names)
    const asked = vi.spyOn(store.names, 'get').mockImplementationOnce(async (...input) => {
      const seen = await get(...input)
      await promoteVersion(store, NAME, '2')
      return seen
    })
    await giveName(store, three.cid, { name: NAME })
    asked.mockRestore()
    expect((await resolveReference(store, NAME)).cid).toEqual(three.cid)
    expect(await rollBack(store, NAME)).toMatchObject({ version: '2' })
    expect(await rollBack(store, NAME)).toMatchObject({ version: '1' })
  })

  it('a version keeps its model from gc', async () => {
    const store = await open()
    const one = await addModel(store, variant('1'), { name: NAME, version: '1', pin: false })
    await addModel(store, variant('2'), { name: NAME, version: '2', pin: false })
    const loose = await addModel(store, variant('3'), { pin: false })
    await store.gc()
    expect(await store.has(one.cid)).toBe(true)
    expect(await store.has(loose.cid)).toBe(false)
  })

  it.each<[string, () => Promise<unknown>, string]>([
    ['a version that is not there', async () => promoteVersion(await open(), NAME, '9'), 'has no version 9'],
    ['a name that is free', async () => rollBack(await open(), NAME), 'nothing to go back to'],
    ['a version without a name', async () => addModel(await open(), variant('1'), { version: '1' }), 'needs a name'],
    ['no version', async () => addModel(await open(), variant('1'), { name: NAME, version: 'a b' }), 'revision "a b"'],
    ['a name with a version in it', async () => addModel(await open(), variant('1'), { name: 'a@1' }), 'a version of'],
    ['a path for a name', async () => addModel(await open(), variant('1'), { name: './a' }), 'reads as a path'],
  ])('%s is refused', async (_what, run, message) => {
    await expect(run()).rejects.toThrowError(message)
  })
})
