import { encodeDagCbor } from '@x/cid'
import { expect, it } from 'vitest'

import {
  addModel,
  findHubRevision,
  forgetLostRevisions,
  forgetLostSignatures,
  forgetUnkeptSidecars,
  keepHubRevision,
  keepSidecar,
  listSidecars,
} from '../src/index.ts'
import { filesSource, stores, text, tinyBert } from './support.ts'

it.each(stores)('what lies beside a model goes with it, and not before (%s)', async (_kind, open) => {
  const store = await open()
  const forget = async (): Promise<void> => {
    await forgetUnkeptSidecars(store)
    await store.gc()
    await forgetLostSignatures(store)
    await forgetLostRevisions(store)
  }
  // Kept as a part of something else alone, and neither pinned nor named.
  const whole = await store.add(
    filesSource(Object.fromEntries(Object.entries(tinyBert()).map(([path, bytes]) => [`models/tiny/${path}`, bytes]))),
  )
  const root = (await store.stat(whole.cid, { path: 'models/tiny' })).cid
  const { cid, manifest } = await addModel(store, filesSource(tinyBert()), { pin: false })
  expect(cid).toEqual(root)
  const commit = 'c0ffee0000000000000000000000000000000000'
  const query = { repo: 'org/tiny' }
  await keepHubRevision(store, query, { manifest, root, commit })
  await keepSidecar(store, 'signatures', root, await encodeDagCbor({ schema: 1, bundle: text('{}') }))
  await forget()
  expect(await listSidecars(store, 'signatures', root)).toHaveLength(1)
  expect(await findHubRevision(store, query)).toMatchObject({ commit })
  await store.unpin(whole.cid)
  await forget()
  expect(await listSidecars(store, 'signatures', root)).toEqual([])
  expect(await listSidecars(store, 'manifests', root)).toEqual([])
  expect(await findHubRevision(store, query)).toBeUndefined()
  await store.gc()
  expect(await store.blocks.has(manifest)).toBe(false)
})
