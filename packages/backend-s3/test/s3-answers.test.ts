/** What no honest server answers, and what is sent. */
import { describe, expect, it } from 'vitest'

import { createBucketDirectory, createBucketFolder, createS3Client, type S3ClientOptions } from '../src/index.ts'
import { all, answering, errorAnswer, SECRET, textOf } from './support.ts'

const page = (entries: string, more = ''): Response =>
  new Response(
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.example.org/doc/">${more}${entries}</ListBucketResult>`,
  )
const entry = (key: string, size: number | string = 1, etag = '&quot;e&quot;'): string =>
  `<Contents><Key>${key}</Key><Size>${size}</Size><ETag>${etag}</ETag></Contents>`

describe('a listing', () => {
  it.each([
    ['with a key that was not asked for', () => page(entry('other/a'))],
    ['with a size that is none', () => page(entry('m/a', -1))],
    ['with a size beyond what numbers hold', () => page(entry('m/a', '9'.repeat(16)))],
    ['with an ETag that is none', () => page(entry('m/a', 1, 'a\nb'))],
    ['with an ETag that would be a header', () => page(entry('m/a', 1, '&quot;a&quot;, *'))],
    ['without a key', () => page('<Contents><Size>1</Size></Contents>')],
    ['that goes on and does not say where', () => page('', '<IsTruncated>true</IsTruncated>')],
    ['in a circle', () => page('', '<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>')],
    ['that is a page of a web server', () => new Response('<!doctype html><html><body>hello</body></html>')],
    ['that is something else', () => new Response('<ListAllMyBucketsResult/>')],
    ['that ends early', () => new Response('<ListBucketResult><Contents>')],
    ['with an entity of its own', () => new Response('<!DOCTYPE a [<!ENTITY b "c">]><ListBucketResult/>')],
    ['with escapes that are none', () => page(entry('m/%ff'), '<EncodingType>url</EncodingType>')],
    ['that is no text', () => new Response(Uint8Array.of(0xff, 0xfe))],
    ['without an end', () => new Response('<a>'.repeat(100))],
  ])('%s is refused', async (_name, answer) => {
    const { client } = answering(answer)
    const listed = all(client.list('bucket', { prefix: 'm/' }))
    await expect(listed).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  })

  it.each([
    ['leaves it', 'm/../secret'],
    ['has an empty segment', 'm//a'],
    ['begins with a slash', 'm//etc/passwd'],
    ['is a dot', 'm/./a'],
    ['is one of Windows', String.raw`m/a\b`],
    ['is a drive', 'm/C:/a'],
    ['ends with a slash and has bytes', 'm/a/'],
  ])('of which a path %s is refused as a directory', async (_name, key) => {
    const directory = createBucketDirectory(answering(() => page(entry(key))).client, { bucket: 'bucket', prefix: 'm' })
    await expect(directory.list()).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  })

  it('with a path twice is refused as a directory', async () => {
    const { client } = answering(() => page(entry('m/a') + entry('m/a')))
    const directory = createBucketDirectory(client, { bucket: 'bucket', prefix: 'm' })
    await expect(directory.list()).rejects.toThrow(/twice/)
  })

  it('of which one page is longer than any of a thousand keys is refused, and its rest not read', async () => {
    const MIB = 2 ** 20
    const left = Promise.withResolvers<void>()
    let sent = 0
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          sent += MIB
          controller.enqueue(new Uint8Array(MIB).fill(32))
        },
        cancel: () => left.resolve(),
      },
      { highWaterMark: 0 },
    )
    const listed = all(answering(() => new Response(body)).client.list('bucket'))
    await expect(listed).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: false,
      message: expect.stringMatching(/over 8388608 bytes/),
    })
    await left.promise
    expect(sent).toBe(9 * MIB)
  })

  it('may have a page of a thousand keys, each as long as can be', async () => {
    const key = encodeURIComponent('é'.repeat(512))
    const more = `<ChecksumAlgorithm>SHA256</ChecksumAlgorithm><Owner><ID>${'f'.repeat(64)}</ID></Owner></Contents>`
    const long = entry(`m/${key.slice(12)}`).replace('</Contents>', more)
    const { client } = answering(() => page(long.repeat(1000), '<EncodingType>url</EncodingType>'))
    expect(await all(client.list('bucket', { prefix: 'm/' }))).toHaveLength(1000)
  })

  it('is asked for page by page, escaped, and its entities are read', async () => {
    const { client, seen } = answering(({ url }) =>
      new URL(url).searchParams.has('continuation-token')
        ? page(entry('m/a%2Bb+c%26', 0))
        : page(
            entry('m/%26amp;', 2, 'bare'),
            '<IsTruncated>true</IsTruncated><NextContinuationToken>a+/&amp;=</NextContinuationToken><EncodingType>url</EncodingType>',
          ),
    )
    expect(await all(client.list('bucket', { prefix: 'm/' }))).toEqual([
      { key: 'm/&amp;', size: 2, etag: '"bare"' },
      { key: 'm/a%2Bb+c%26', size: 0, etag: '"e"' },
    ])
    const [first, second] = seen.map(({ url }) => new URL(url))
    expect(first?.pathname).toBe('/bucket')
    expect(second?.search).toContain('continuation-token=a%2B%2F%26%3D&')
  })
})

describe('an error', () => {
  it.each([
    [() => new Response('not here', { status: 404 }), /without the code of S3/, false],
    [() => errorAnswer(403, 'AccessDenied'), /cannot be told/, false],
    [() => errorAnswer(403, 'RequestTimeTooSkewed'), /clock/, false],
    [() => errorAnswer(403, 'InvalidObjectState'), /is archived/, false],
    [() => errorAnswer(400, 'ExpiredToken'), /expired/, false],
    [() => errorAnswer(503, 'SlowDown'), /503/, true],
    [() => errorAnswer(400, 'RequestTimeout'), /RequestTimeout/, true],
    [
      () => errorAnswer(301, 'PermanentRedirect', '', { 'x-amz-bucket-region': 'eu-west-1' }),
      /region eu-west-1/,
      false,
    ],
    [() => errorAnswer(400, 'AuthorizationHeaderMalformed', '<Region>ap-1</Region>'), /region ap-1/, false],
    [() => errorAnswer(307, 'TemporaryRedirect', '', { location: 'http://169.254.169.254/' }), /not followed/, false],
    [() => errorAnswer(501, 'NotImplemented'), /501/, false],
    [() => errorAnswer(400, `${SECRET}<b/>`), /HTTP status 400 for/, false],
  ])('%#: says what it is, and nothing of the server’s text', async (answer, message, retryable) => {
    const { client, seen } = answering(answer)
    const error = await all(client.read('bucket', 'key', { length: 4 })).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'BACKEND', retryable })
    expect(String(error)).toMatch(message)
    expect(String(error)).not.toContain(SECRET)
    expect(JSON.stringify(error)).not.toContain(SECRET)
    expect(seen).toHaveLength(1)
    expect(seen[0]?.redirect).toBe('manual')
  })
})

const part = (body: string, range: string, headers: Record<string, string> = {}): Response =>
  new Response(body, { status: 206, headers: { 'content-range': range, ...headers } })

describe('bytes', () => {
  it.each([
    ['of another range', () => part('abcd', 'bytes 1-4/10')],
    ['of a longer range', () => part('abcde', 'bytes 0-4/10')],
    ['more than announced', () => part('abcdefgh', 'bytes 0-3/10')],
    ['of the whole object', () => new Response('abcdefghij')],
    ['without a range', () => new Response('abcd', { status: 206 })],
    ['of another ETag', () => part('abcd', 'bytes 0-3/10', { etag: '"other"' })],
  ])('%s are refused', async (_name, answer) => {
    const { client, seen } = answering(answer)
    const read = all(client.read('bucket', 'key', { length: 4, etag: '"mine"' }))
    await expect(read).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
    expect(seen[0]?.headers.get('if-match')).toBe('"mine"')
    expect(seen[0]?.headers.get('range')).toBe('bytes=0-3')
  })

  it('that the platform would unpack are refused', async () => {
    const { client } = answering(() => part('abcd', 'bytes 0-3/10', { 'content-encoding': 'gzip' }))
    await expect(all(client.read('bucket', 'key', { length: 4 }))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    const chunked = answering(() => part('abcd', 'bytes 0-3/10', { 'content-encoding': 'aws-chunked' }))
    expect(await textOf(chunked.client.read('bucket', 'key', { length: 4 }))).toBe('abcd')
  })
})

/** A server that writes its tags as it is told. */
const tagged = (listed: string, sent: string) =>
  answering(({ url, method }) => {
    if (new URL(url).search !== '') return page(entry('m/a', 4, listed))
    const headers = { etag: sent, 'content-length': '4' }
    return method === 'HEAD' ? new Response(null, { headers }) : part('abcd', 'bytes 0-3/4', headers)
  })

describe('an ETag without its quotes', () => {
  const quoted = '&quot;e-2&quot;'

  it.each([
    ['in its headers', quoted, 'e-2'],
    ['in its listing', 'e-2', '"e-2"'],
    ['anywhere', 'e-2', 'e-2'],
  ])('%s is the same tag', async (_name, listed, sent) => {
    const { client, seen } = tagged(listed, sent)
    const directory = createBucketDirectory(client, { bucket: 'bucket', prefix: 'm' })
    const files = await directory.list()
    expect(files).toEqual([{ path: 'a', size: 4, etag: '"e-2"' }])
    expect(await directory.digestOf(files[0]!)).toBeUndefined()
    expect(await textOf(directory.sourceOf(files).read({ path: 'a' }, { offset: 0, length: 4 }, {}))).toBe('abcd')
    expect(seen.slice(1).map(({ headers }) => headers.get('if-match'))).toEqual(['"e-2"', '"e-2"'])
  })

  it('is given and sent with them, also where a caller has none', async () => {
    const { client, seen } = tagged(quoted, 'e-2')
    expect((await client.head('bucket', 'm/a', { etag: 'e-2' })).etag).toBe('"e-2"')
    expect(await textOf(client.read('bucket', 'm/a', { length: 4, etag: 'e-2' }))).toBe('abcd')
    expect(seen.map(({ headers }) => headers.get('if-match'))).toEqual(['"e-2"', '"e-2"'])
  })

  it.each(['e', 'W/"e-2"', 'W/e-2', '"e-2', '*'])('is not %s', async (sent) => {
    const { client } = tagged(quoted, sent)
    const directory = createBucketDirectory(client, { bucket: 'bucket', prefix: 'm' })
    const files = await directory.list()
    const read = all(directory.sourceOf(files).read({ path: 'a' }, { offset: 0, length: 4 }, {}))
    await expect(read).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
    await expect(directory.digestOf(files[0]!)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  })
})

describe('what is asked', () => {
  it.each([
    ['a bucket of a path', '../other', 'key'],
    ['a bucket of a host', 'evil.example:80', 'key'],
    ['no bucket', '', 'key'],
    ['no key', 'bucket', ''],
    ['a key that a URL would resolve', 'bucket', 'a/../b'],
    ['a key that is too long', 'bucket', 'é'.repeat(513)],
    ['a key that is no Unicode', 'bucket', '\uD800'],
  ])('%s is refused before anybody is asked', async (_name, bucket, key) => {
    const { client, seen } = answering(() => new Response())
    await expect(client.head(bucket, key)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(all(client.read(bucket, key))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(seen).toEqual([])
  })

  it('is signed, with the token of a session, for one region', async () => {
    const { client, seen } = answering(() => page(''), {
      region: 'eu-1',
      credentials: { accessKeyId: 'key', secretAccessKey: SECRET, sessionToken: 'token' },
    })
    await all(client.list('bucket'))
    const [request] = seen
    expect(request?.headers.get('authorization')).toMatch(
      /^AWS4-HMAC-SHA256 Credential=key\/\d{8}\/eu-1\/s3\/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$/,
    )
    expect(request?.headers.get('x-amz-security-token')).toBe('token')
    expect(JSON.stringify([...(request?.headers ?? [])])).not.toContain(SECRET)
  })

  it('is not signed without credentials', async () => {
    const { client, seen } = answering(() => page(''), { credentials: undefined })
    await all(client.list('bucket'))
    expect([...(seen[0]?.headers ?? [])].map(([name]) => name)).toEqual(['accept-encoding'])
  })

  it.each([
    ['https://s3.eu-west-1.amazonaws.com', 'bucket', 'https://bucket.s3.eu-west-1.amazonaws.com/a%20b'],
    ['https://s3.eu-west-1.amazonaws.com', 'my.bucket', 'https://s3.eu-west-1.amazonaws.com/my.bucket/a%20b'],
    ['http://127.0.0.1:7070/', 'bucket', 'http://127.0.0.1:7070/bucket/a%20b'],
    ['https://example.org/s3/', 'bucket', 'https://example.org/s3/bucket/a%20b'],
  ])('of %s the bucket %s is at its address', async (endpoint, bucket, url) => {
    const { client, seen } = answering(() => new Response(), { endpoint })
    await all(client.read(bucket, 'a b'))
    expect(seen[0]?.url).toBe(url)
  })

  it.each([
    [{ endpoint: `https://user:${SECRET}@s3.example.org` }],
    [{ endpoint: SECRET }],
    [{ endpoint: 'http://127.0.0.1:7070', addressing: 'virtual-host' as const }],
    [{ endpoint: 'ftp://s3.example.org' }],
    [{ endpoint: `https://s3.example.org/?key=${SECRET}` }],
    [{ credentials: { accessKeyId: 'key', secretAccessKey: `${SECRET}\n` } }],
    [{ credentials: { accessKeyId: '', secretAccessKey: SECRET } }],
  ])('%#: options that cannot be used are refused, and no secret is told', (options) => {
    const given = { endpoint: 'https://s3.example.org', ...options }
    let error: unknown
    try {
      createS3Client(given)
    } catch (reason) {
      error = reason
    }
    expect(error).toMatchObject({ code: 'INVALID_INPUT' })
    expect(String(error) + JSON.stringify(error)).not.toContain(SECRET)
  })
})

describe('a region', () => {
  const build: [string, (options: S3ClientOptions) => unknown][] = [
    ['client', createS3Client],
    ['folder', (options) => createBucketFolder(options, { bucket: 'bucket', prefix: '' })],
  ]
  const wrong = ['', 'a b', 'eu-1\n', 'eu\u0000', 'eu/../us', 'é', 'a.b', 'x'.repeat(41)]
  const credentials = { accessKeyId: 'key', secretAccessKey: SECRET }
  const cases = build.flatMap(([what, create]) =>
    wrong.map((region): [string, string, typeof create] => [what, region, create]),
  )

  it.each(cases)('of a %s that is none is refused before anything is signed with it: %j', (_what, region, create) => {
    // Most of them make no address either, and it is the region that is wrong.
    const endpoint = `https://s3.${region}.example.org`
    const given = [undefined, credentials].map((keys) => ({ endpoint, region, credentials: keys }))
    for (const options of given) {
      expect(() => create(options)).toThrow(
        expect.objectContaining({
          code: 'INVALID_INPUT',
          input: 'region',
          message: 'region: it has 1 to 40 letters, digits and hyphens',
        }),
      )
    }
  })
})

it('a folder in a bucket says what S3 says, and where a bucket is that it redirects from', async () => {
  const regions = { 'x-amz-bucket-region': 'eu-west-3' }
  const answers: [Response, object][] = [
    [
      errorAnswer(404, 'NoSuchBucket'),
      { code: 'NOT_FOUND', message: 'https://s3.example.org: no such bucket: s3://bucket' },
    ],
    [errorAnswer(404, 'NoSuchKey'), { code: 'NOT_FOUND', what: 's3://bucket/a b/sub/x y.json' }],
    [
      errorAnswer(403, 'SignatureDoesNotMatch'),
      { code: 'BACKEND', message: expect.stringContaining('the secret key') },
    ],
    [errorAnswer(400, 'AuthorizationHeaderMalformed', '', regions), { message: expect.stringContaining('eu-west-3') }],
  ]
  const credentials = { accessKeyId: 'key', secretAccessKey: SECRET }
  const open = (answer: Response) =>
    createBucketFolder(
      { endpoint: 'https://s3.example.org', credentials, fetch: async () => answer },
      { bucket: 'bucket', prefix: 'a b' },
    )
  for (const [answer, wanted] of answers) {
    const { url, fetch, explain } = open(answer)
    const error = await explain(await fetch(new URL('sub/x y.json', url)), 'sub/x y.json')
    expect(error).toMatchObject(wanted)
    expect(error.message).not.toContain(SECRET)
  }
  const { url, fetch } = open(errorAnswer(301, 'PermanentRedirect', '', regions))
  await expect(fetch(new URL('sub/x', url))).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringContaining('the bucket bucket is in region eu-west-3'),
  })
})

it('a folder in a bucket signs what is asked of its own server, and reads alone', async () => {
  const seen: Request[] = []
  const { url, fetch } = createBucketFolder(
    {
      endpoint: 'https://s3.example.org',
      credentials: { accessKeyId: 'key', secretAccessKey: SECRET },
      fetch: async (input, init) => {
        seen.push(new Request(input, init))
        return new Response()
      },
    },
    { bucket: 'bucket', prefix: 'a b' },
  )
  expect(url.href).toBe('https://s3.example.org/bucket/a%20b/')
  await fetch(new URL('roots/x', url), { headers: { range: 'bytes=0-1' } })
  await fetch('https://elsewhere.example.org/')
  expect(seen.map(({ headers }) => headers.has('authorization'))).toEqual([true, false])
  expect(seen[0]?.headers.get('range')).toBe('bytes=0-1')
  // It would take the session's token along.
  expect(seen[0]?.redirect).toBe('manual')
  await expect(fetch(url, { method: 'PUT' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})
