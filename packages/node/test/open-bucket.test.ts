import { openBucket } from '@x/node'
import { expect, it } from 'vitest'

const where = { bucket: 'models', prefix: 'tiny' }
const none = { AWS_CONFIG_FILE: '/none/config', AWS_SHARED_CREDENTIALS_FILE: '/none/credentials' }
const failing = (environment: Record<string, string>) =>
  openBucket(where, { environment }).catch((error: unknown) => String(error))
const at = (endpoint: string) => ({ ...none, AWS_ENDPOINT_URL_S3: endpoint })

it('is asked for by its name, also in CI, unless the network or an option forbids it', async () => {
  const far = at('https://s3.example.org')
  const near = at('http://127.0.0.1:1')
  expect(await openBucket(where, { environment: { ...far, CI: 'true' } })).toMatchObject({
    label: 's3://models/tiny',
    endpoint: 'https://s3.example.org',
  })
  const local = { IPFS_ACCELERATE_NETWORK: 'local' }
  const gated = { code: 'GATED', feature: 's3' }
  await expect(openBucket(where, { environment: { ...far, ...local } })).rejects.toMatchObject(gated)
  expect(await openBucket(where, { environment: { ...near, ...local } })).toMatchObject({
    endpoint: 'http://127.0.0.1:1',
  })
  const off = { IPFS_ACCELERATE_NETWORK: 'off' }
  await expect(openBucket(where, { environment: { ...near, ...off } })).rejects.toMatchObject(gated)
  await expect(openBucket(where, { environment: near, gates: { s3: 'off' } })).rejects.toMatchObject(gated)
})

it('lies at AWS where no endpoint is named, as s3:// says', async () => {
  const { endpoint } = await openBucket(where, { environment: { ...none, AWS_REGION: 'cn-north-1' } })
  expect(endpoint).toBe('https://s3.cn-north-1.amazonaws.com.cn')
  expect((await openBucket(where, { environment: none })).endpoint).toBe('https://s3.us-east-1.amazonaws.com')
})

it('an endpoint that is none is said to be that of its variable, and not shown: it may be a key', async () => {
  const wrong = await failing(at('a-secret'))
  expect(wrong).toContain('AWS_ENDPOINT_URL_S3 is not a URL; one begins with http:// or https://')
  expect(wrong).not.toContain('a-secret')
  expect(await failing({ ...none, AWS_ENDPOINT_URL: 'localhost:9000' })).toContain('AWS_ENDPOINT_URL, localhost:')
})

it('a region that would be a host is none', async () => {
  const environment = { ...none, AWS_REGION: 'evil.example.org/?' }
  await expect(openBucket(where, { environment })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})
