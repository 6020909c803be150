import { describe, expect, it } from 'vitest'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { bytesOf, clientOf, first, openHub, second, TOKEN } from './support.ts'

describe('revisions', () => {
  it('resolves a branch, a tag with a slash, a pull request and a short commit', async () => {
    const hub = await openHub()
    const client = clientOf(`${hub.url}/`)
    expect(await client.resolve('org/model')).toBe(second.commit)
    expect(await client.resolve('org/model', 'v1/old')).toBe(first.commit)
    expect(await client.resolve('org/model', 'refs/pr/1')).toBe(first.commit)
    expect(await client.resolve('org/model', first.commit.slice(0, 8))).toBe(first.commit)
    expect(hub.requests.map(({ url }) => url)).toContain('/api/models/org/model/revision/refs%2Fpr%2F1?expand=sha')
  })

  it('does not ask for a whole commit', async () => {
    const hub = await openHub()
    expect(await clientOf(hub.url).resolve('org/model', first.commit)).toBe(first.commit)
    expect(hub.requests).toEqual([])
  })

  it('asks below the path of the endpoint', async () => {
    const asked: string[] = []
    const url = await serveOnLoopback((request, response) => {
      asked.push(request.url ?? '')
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ sha: first.commit }))
    })
    expect(await clientOf(`${url}/hub/v1`).resolve('org/model')).toBe(first.commit)
    expect(asked).toEqual(['/hub/v1/api/models/org/model/revision/main?expand=sha'])
  })

  it('tells what the hub says of a model', async () => {
    const hub = await openHub()
    expect(await clientOf(hub.url).info('org/model', 'main')).toEqual({
      repo: 'org/model',
      commit: second.commit,
      lastModified: new Date('2026-01-01T00:00:00.000Z'),
      private: false,
      gated: false,
      task: 'feature-extraction',
      library: 'transformers.js',
      licence: 'apache-2.0',
      baseModels: ['org/base'],
      tags: ['onnx', 'license:apache-2.0'],
    })
  })

  it.each([
    ['org/none', 'main', 'org/none', 'RepoNotFound'],
    ['org/model', 'v9', 'org/model@v9', 'RevisionNotFound'],
  ])('knows that %s@%s is not there', async (repo, revision, what, errorCode) => {
    const hub = await openHub()
    await expect(clientOf(hub.url).resolve(repo, revision)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      what,
      cause: { errorCode },
    })
    // What is known is not asked for again.
    expect(hub.requests).toHaveLength(1)
  })

  it.each([
    '../etc',
    'org/../x',
    'org/model/x',
    'org//model',
    '/model',
    'org/mo--del',
    'org/.model',
    'org/model.git',
    'a b/c',
    '',
    'datasets/org/x',
    `${'x'.repeat(97)}/y`,
    'org/mod\u00E9l',
    'org/model?x=1',
  ])('refuses the repository %j', async (repo) => {
    const hub = await openHub()
    await expect(clientOf(hub.url).resolve(repo)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(clientOf(hub.url).info(repo)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(clientOf(hub.url).tree(repo, first.commit)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(hub.requests).toEqual([])
  })

  it.each(['', '..', 'a/../b', 'a//b', '/a', 'a b', 'a\nb', 'a\\b', '.x', 'a..b', 'x'.repeat(256)])(
    'refuses the revision %j',
    async (revision) => {
      const hub = await openHub()
      await expect(clientOf(hub.url).resolve('org/model', revision)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
      expect(hub.requests).toEqual([])
    },
  )

  it('reaches a private repository with the token, and not without', async () => {
    const hub = await openHub({ token: TOKEN })
    await expect(clientOf(hub.url).resolve('org/private')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await clientOf(hub.url, { token: TOKEN }).resolve('org/private')).toBe(second.commit)
  })

  it('says that a token was refused, and never which', async () => {
    const hub = await openHub({ token: 'another' })
    const failure = await clientOf(hub.url, { token: TOKEN })
      .resolve('org/model')
      .catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'BACKEND', retryable: false })
    expect(String(failure)).toMatch(/revoked/)
    expect(
      `${String(failure)} ${JSON.stringify(failure)} ${String(Reflect.get(Object(failure), 'cause'))}`,
    ).not.toContain(TOKEN)
    expect(hub.requests).toHaveLength(1)
  })

  it('says that a model is gated', async () => {
    const hub = await openHub({ token: TOKEN })
    const read = clientOf(hub.url).read('org/gated', second.commit, 'config.json')
    await expect(bytesOf(read)).rejects.toMatchObject({ code: 'BACKEND', cause: { errorCode: 'GatedRepo' } })
    await expect(bytesOf(clientOf(hub.url).read('org/gated', second.commit, 'config.json'))).rejects.toThrow('gated')
    expect(
      await bytesOf(clientOf(hub.url, { token: TOKEN }).read('org/gated', second.commit, 'config.json')),
    ).not.toHaveLength(0)
  })

  it('cannot tell from a 404 that is not the hub’s', async () => {
    const url = await serveOnLoopback((_request, response) => response.writeHead(404).end('nothing here'))
    await expect(clientOf(url).resolve('org/model')).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  })

  it.each([
    ['a page', 'text/html', '<html>log in</html>'],
    ['a page that says it is JSON', 'application/json', '<html>log in</html>'],
    ['no commit', 'application/json', '{"sha":"main"}'],
    ['a path for a commit', 'application/json', '{"sha":"../../etc/passwd"}'],
    ['a list', 'application/json', '[]'],
    ['nothing', 'application/json', ''],
  ])('refuses %s with status 200', async (_what, type, body) => {
    const url = await serveOnLoopback((_request, response) =>
      response.writeHead(200, { 'content-type': type }).end(body),
    )
    await expect(clientOf(url).resolve('org/model')).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  })

  it('asks nobody when offline, and names what it would have asked', async () => {
    const hub = await openHub()
    const client = clientOf(hub.url, { offline: true })
    const url = `${hub.url}/api/models/org/model/revision/main?expand=sha`
    await expect(client.resolve('org/model')).rejects.toMatchObject({ code: 'GATED', feature: 'hub' })
    await expect(client.resolve('org/model')).rejects.toThrow(url)
    await expect(client.tree('org/model', first.commit)).rejects.toMatchObject({ code: 'GATED' })
    await expect(bytesOf(client.read('org/model', first.commit, 'config.json'))).rejects.toMatchObject({
      code: 'GATED',
    })
    expect(hub.requests).toEqual([])
  })

  it.each(['ftp://example.org', 'nothing', '', 'https://user:secret@example.org', 'https://example.org/?x=1'])(
    'refuses the endpoint %j',
    (endpoint) => {
      expect(() => clientOf(endpoint)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
      expect(() => clientOf(endpoint)).not.toThrow('secret')
    },
  )

  it('refuses a token that would break the header, and does not show it', () => {
    expect(() => clientOf('https://example.org', { token: 'bad\ntoken' })).toThrow(/token/)
    expect(() => clientOf('https://example.org', { token: 'bad\ntoken' })).not.toThrow(/bad/)
  })
})

describe('trouble', () => {
  it.each([429, 500, 502, 503, 504])('asks again after %i', async (status) => {
    let left = 2
    const hub = await openHub({
      intercept: (_request, response) => {
        if (left-- <= 0) return false
        response.writeHead(status, { 'retry-after': '0' }).end()
        return true
      },
    })
    expect(await clientOf(hub.url).resolve('org/model')).toBe(second.commit)
    expect(hub.requests).toHaveLength(3)
  })

  it('gives up after some attempts', async () => {
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(503).end()
        return true
      },
    })
    await expect(clientOf(hub.url, { retry: { attempts: 3, baseMs: 1 } }).resolve('org/model')).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: true,
      cause: { status: 503 },
    })
    expect(hub.requests).toHaveLength(3)
  })

  it('does not wait as long as a hub wishes', async () => {
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(429, { 'retry-after': '3000' }).end()
        return true
      },
    })
    await expect(clientOf(hub.url).resolve('org/model')).rejects.toMatchObject({ cause: { retryAfterMs: 3_000_000 } })
    expect(hub.requests).toHaveLength(1)
  })

  it('waits until a spent allowance is there again, as the hub says it', async () => {
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(429, { ratelimit: '"api";r=0;t=90', 'retry-after': '1' }).end()
        return true
      },
    })
    await expect(clientOf(hub.url).resolve('org/model')).rejects.toMatchObject({ cause: { retryAfterMs: 90_000 } })
    expect(hub.requests).toHaveLength(1)
    const other = await openHub({
      intercept: (_request, response) => {
        response.writeHead(503, { ratelimit: '"api";r=5;t=90', 'retry-after': '3000' }).end()
        return true
      },
    })
    await expect(clientOf(other.url).resolve('org/model')).rejects.toMatchObject({ cause: { retryAfterMs: 3_000_000 } })
  })

  it('does not wait for ever for an answer', async () => {
    const hub = await openHub({ intercept: () => true })
    const client = clientOf(hub.url, { stallTimeoutMs: 50, retry: { attempts: 1 } })
    await expect(client.resolve('org/model')).rejects.toMatchObject({ code: 'BACKEND', cause: { name: 'StallError' } })
  })

  it('stops with the signal’s own reason, also while it waits', async () => {
    const reason = new Error('the caller gave up')
    const controller = new AbortController()
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(503, { 'retry-after': '30' }).end()
        setImmediate(() => controller.abort(reason))
        return true
      },
    })
    await expect(clientOf(hub.url).resolve('org/model', 'main', { signal: controller.signal })).rejects.toBe(reason)
    await expect(clientOf(hub.url).resolve('org/model', 'main', { signal: controller.signal })).rejects.toBe(reason)
    expect(hub.requests).toHaveLength(1)
  })

  it('is retryable where nobody listens', async () => {
    await expect(clientOf('http://127.0.0.1:1', { retry: { attempts: 1 } }).resolve('org/model')).rejects.toMatchObject(
      {
        code: 'BACKEND',
        retryable: true,
      },
    )
  })
})
