import { expect, it } from 'vitest'

import { createBucketDirectory, createS3Client } from '../src/index.ts'

const LISTING = '<ListBucketResult><Contents><Key>m/a</Key><Size>3</Size><ETag>"e"</ETag></Contents></ListBucketResult>'

/** STUB: a server of S3 inside of the page. */
const s3: typeof fetch = (input, init) => {
  const { search } = new URL(input instanceof Request ? input.url : input)
  if (!new Headers(init?.headers).has('authorization')) return Promise.resolve(new Response('', { status: 403 }))
  const part = { status: 206, headers: { 'content-range': 'bytes 0-2/3', etag: '"e"' } }
  return Promise.resolve(search === '' ? new Response('abc', part) : new Response(LISTING))
}

it('signs, lists and reads in a page', async () => {
  const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }
  const client = createS3Client({ endpoint: 'https://s3.example.org', credentials, fetch: s3 })
  const directory = createBucketDirectory(client, { bucket: 'bucket', prefix: 'm' })
  const files = await directory.list()
  expect(files).toEqual([{ path: 'a', size: 3, etag: '"e"' }])
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for await (const piece of directory.sourceOf(files).read({ path: 'a' }, { offset: 0, length: 3 }, {})) {
    pieces.push(new Uint8Array(piece))
  }
  expect(await new Blob(pieces).text()).toBe('abc')
})

it('asks with the page’s own fetch', async () => {
  const client = createS3Client({ endpoint: `${location.origin}/no-s3`, retry: { attempts: 1 } })
  await expect(client.head('bucket', 'key')).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
})
