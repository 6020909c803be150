import { inspect } from 'node:util'

import { assertReference, canBeWritten, labelOf, openBackend, parseBackendSpec } from '@x/node'
import { openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'

const PEER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'

it.each([
  ['kubo=http://127.0.0.1:5001/', 'kubo=127.0.0.1:5001'],
  ['kubo=https://me:s3cret@kubo.example/api?x=s3cret', 'kubo=kubo.example'],
  ['kubo=unix:/run/kubo.sock', 'kubo=unix:/run/kubo.sock'],
  ['kubo=unix:///run/kubo.sock', 'kubo=unix:/run/kubo.sock'],
  ['kubo=/unix/run/kubo.sock', 'kubo=unix:/run/kubo.sock'],
  ['kubo=s3cret@@', 'kubo=?'],
  ['gateway=http://a.example:8080,https://b.example/models', 'gateway=a.example:8080,b.example'],
  [`helia=/ip4/192.0.2.7/tcp/4001/p2p/${PEER}`, 'helia=192.0.2.7:4001'],
  [`helia=/ip6/2001:db8::1/udp/4001/quic-v1/p2p/${PEER}`, 'helia=2001:db8::1:4001'],
  [`helia=/dnsaddr/peer.example/p2p/${PEER}`, 'helia=peer.example'],
  ['helia=/dns4/me:s3cret@peer.example/tcp/1', 'helia=?'],
  ['s3=models', 's3=models'],
  ['s3=s3://models/a/b', 's3=models/a/b'],
  ['s3=https://key:s3cret@models', 's3=?'],
  ['lan', 'lan'],
])('%s is %s in few words', (text, label) => {
  expect(labelOf(parseBackendSpec(text, {}))).toBe(label)
})

it.each([
  ['S3=models', '"S3"'],
  ['Gateway=https://me:s3cret@a.example', '"Gateway"'],
  ['ftp', '"ftp"'],
  ['https://me:s3cret@a.example/?x=1', 'what was given'],
  ['me:s3cret@a.example', 'what was given'],
])('%s is no backend, and what it is called is shown', (text, shown) => {
  expect(() => parseBackendSpec(text, {})).toThrow(
    expect.objectContaining({
      message: expect.stringMatching(new RegExp(`^(?!.*s3cret)${shown} is no backend; there is kubo=URL`)),
    }),
  )
})

it('only a Kubo daemon can be written', () => {
  const kinds = ['kubo', 'gateway', 'static', 's3', 'helia', 'lan'] as const
  expect(kinds.filter(canBeWritten)).toEqual(['kubo'])
})

it.each([
  ['static', 'org/name', /static has no names; give a CID/],
  ['lan', 'ipns://example.org', /lan resolves no names of IPNS/],
  ['kubo', './model', /that is a path, and kubo is asked for/],
] as const)('%s cannot know where %s points', (kind, reference, message) => {
  expect(() => assertReference(kind, reference)).toThrow(message)
  expect(() => assertReference('kubo', 'org/name')).not.toThrow()
})

it('a daemon that wants credentials is told how to get them', async () => {
  const { port } = new URL(await serveOnLoopback((_, response) => response.writeHead(401).end()))
  const open = (host: string, auth?: string) =>
    openBackend(parseBackendSpec(`kubo=http://${host}:${port}`), {
      local: () => openMemoryStore(),
      environment: { IPFS_ACCELERATE_KUBO_AUTH: auth },
    })
  const wanted = {
    code: 'BACKEND',
    message: expect.stringMatching(/^kubo=127\.0\.0\.1:\d+: .*wants credentials \(IPFS/),
  }
  await expect(open('127.0.0.1')).rejects.toMatchObject(wanted)
  await expect(open('127.0.0.1', 'bearer:no')).rejects.toThrow(/wants other credentials \(IPFS_ACCELERATE_KUBO_AUTH\)/)
  await expect(open('me:s3cret@127.0.0.1')).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/^(?!.*s3cret).*IPFS_ACCELERATE_KUBO_AUTH is for them$/),
  })
  await expect(open('127.0.0.1', 'bearer:s3cret\n')).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/^(?!.*s3cret)IPFS_ACCELERATE_KUBO_AUTH has a character/),
  })
})

it('an s3 backend that is no bucket is refused without being shown', async () => {
  for (const text of ['s3=https://key:s3cret@minio.example/bucket', 's3=key:s3cret@bucket/a']) {
    const error: unknown = await openBackend(parseBackendSpec(text, {}), {
      environment: {},
      local: () => openMemoryStore(),
    }).catch((cause: unknown) => cause)
    expect(error).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining('BUCKET/PREFIX') })
    expect(inspect(error, { depth: 9 })).not.toContain('s3cret')
  }
})
