import { composeStorage, parseBackendSpec, type ComposedStorage } from '@x/node'
import type { Receipt } from '@x/storage-core'
import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { versitygwOrSkip } from '../../../tooling/versitygw/find-versitygw.ts'
import { startVersitygw, type S3Server } from '../../../tooling/versitygw/start-versitygw.ts'
import { openTemporary } from './support.ts'

async function startServer(context: TestContext): Promise<S3Server> {
  const server = await startVersitygw(versitygwOrSkip(context))
  onTestFinished(() => server.close())
  await server.createBucket('models')
  return server
}

async function compose({ url, region, credentials }: S3Server): Promise<ComposedStorage> {
  const environment = {
    AWS_CONFIG_FILE: '/none/config',
    AWS_SHARED_CREDENTIALS_FILE: '/none/credentials',
    AWS_ENDPOINT_URL_S3: url,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  }
  const composed = await composeStorage(await openTemporary({ environment }), {
    backends: [{ spec: parseBackendSpec('s3=models/copies'), write: 'on-pin' }],
    environment,
    copies: { retryMs: 50 },
  })
  onTestFinished(() => composed.close())
  return composed
}

it('what is pinned is in the bucket, and another machine reads it from there, verified', async (context) => {
  const server = await startServer(context)
  const [here, elsewhere] = [await compose(server), await compose(server)]
  const bytes = crypto.getRandomValues(new Uint8Array(64_000))
  const { cid } = await here.add(bytes)
  await here.copies?.drained()
  expect(await here.copies?.outbox.copies()).toMatchObject([{ target: 's3=models/copies', state: 'verified' }])

  let receipt: Receipt | undefined
  const pieces: Uint8Array[] = []
  for await (const piece of elsewhere.cat(cid, { onReceipt: (given) => void (receipt = given) })) pieces.push(piece)
  expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
  expect(receipt?.answeredBy).toBe('s3=models/copies')

  await here.unpin(cid)
  await here.copies?.drained()
  expect(await here.copies?.targets[0]?.stateOf(cid)).toMatchObject({ state: 'absent' })
})

it('a gateway takes no copies, and that is said when it is composed', async () => {
  const backends = [{ spec: parseBackendSpec('gateway=http://127.0.0.1:1'), write: 'write-behind' as const }]
  const storage = await openTemporary()
  await expect(composeStorage(storage, { backends, environment: {} })).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: 'gateway=127.0.0.1:1 can be read, and takes no copies: write write-behind is for kubo and s3',
  })
})
