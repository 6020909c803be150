import { openModel } from '@x/model-loader'
import { createSigner } from '@x/model-signing'
import { addModel, signingSettings, signStoredModel } from '@x/node'
import { expect, it } from 'vitest'

import { createModelVerdicts } from '../src/signing/model-verdicts.ts'
import { directoryOf, keysIn, tinyBert } from './signing-support.ts'
import { openTemporary, temporaryDirectory } from './support.ts'

it('a repository that is called as a CID would be is one that a key can count for; a CID is none', async () => {
  const keys = await keysIn(await temporaryDirectory(), 'ours')
  const storage = await openTemporary()
  const { cid } = await addModel(storage, await directoryOf(tinyBert()), { name: 'ipfs/foo' })
  await signStoredModel(storage, 'ipfs/foo', await createSigner(keys.privateKey))
  const policy = signingSettings({ IPFS_ACCELERATE_TRUSTED_KEYS: ['ipfs/*', keys.file].join('=') })
  if (!policy) throw new Error('no policy')
  const verdicts = createModelVerdicts(
    policy,
    async () => storage,
    () => {},
  )
  const asked = { revision: 'main', provider: 'store' }
  await verdicts.check(await openModel(storage, 'ipfs/foo'), { repo: 'ipfs/foo', ...asked })
  const byCid = verdicts.check(await openModel(storage, `${cid}`), { repo: `ipfs/${cid}`, ...asked })
  await expect(byCid).rejects.toMatchObject({ code: 'SIGNATURE', reason: 'unknown-key' })
  expect(verdicts.status().models.map(({ repo, verdict }) => [repo, verdict])).toEqual([
    ['ipfs/foo', 'trusted'],
    [`ipfs/${cid}`, 'refused'],
  ])
})
