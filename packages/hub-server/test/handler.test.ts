import { setImmediate } from 'node:timers/promises'

import { BackendError, GatedError, NotFoundError, openMemoryStore } from '@x/storage-core'
import * as fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { createHubHandler } from '../src/hub-handler.ts'
import type { HubRequestEvent } from '../src/hub-options.ts'
import type { HubRepositories } from '../src/hub-repositories.ts'
import { asker, bytesOf, describeFile, errorOf, noise, openHub, small, storedRepositories, utf8 } from './support.ts'

const file = '/org/small/resolve/main/config.json'

describe('a request that cannot be', () => {
  it.each([
    ['/org/small/resolve/main/..%2F..%2Fetc%2Fpasswd', 400],
    ['/org/small/resolve/main/a%2F%2Fb', 400],
    ['/org/small/resolve/main/a%00b', 400],
    ['/org/small/resolve/main/%ff', 400],
    ['/org/small/resolve/main//config.json', 400],
    ['/org/small/resolve/a..b/config.json', 400],
    ['/org/small/resolve/a%20b/config.json', 400],
    ['/org/small/resolve/%2Fa/config.json', 400],
    ['/org%2Fsmall/resolve/main/config.json', 400],
    ['/or..g/small/resolve/main/config.json', 400],
    ['/-org/small/resolve/main/config.json', 400],
    ['/org/small/resolve/main', 404],
    ['/org/small/resolve', 404],
    ['/org/small', 404],
    ['/api', 404],
    ['/api/models/org/small/commits/main', 404],
    ['/api/models/org/small/refs/more', 404],
    ['/api/models/org/small/revision', 404],
    ['/api/models/org/small/paths-info/main/more', 404],
    ['/api/whoami-v2', 401],
  ])('%s', async (path, status) => {
    const { ask } = await openHub({ 'org/small': small })
    const method = path.includes('paths-info') ? 'POST' : 'GET'
    const response = await ask(path, {}, { method })
    expect(response.status).toBe(status)
    expect(response.headers.get('x-error-message')).toMatch(/^[ -~]+$/)
    expect(await response.json()).toEqual({ error: expect.any(String) })
  })

  it('is too long', async () => {
    const { ask } = await openHub({ 'org/small': small })
    expect((await ask(`/org/small/resolve/${'a'.repeat(256)}/config.json`)).status).toBe(400)
    expect((await ask(`/${'o'.repeat(97)}/small/resolve/main/config.json`)).status).toBe(400)
    expect((await ask(`/org/small/resolve/main/${'a/'.repeat(5000)}b`)).status).toBe(414)
  })

  it('has one answer, never 500, whatever it is', async () => {
    const { ask } = await openHub({ 'org/small': small })
    const segment = fc.oneof(
      fc.constantFrom(
        'api',
        'models',
        'org',
        'small',
        'resolve',
        'raw',
        'main',
        'tree',
        'refs',
        'pr',
        '1',
        'config.json',
      ),
      fc.string({ unit: 'binary', maxLength: 8 }).map((text) => encodeURIComponent(text.toWellFormed())),
      fc.constantFrom('..', '%2e%2e', '%2F', '%', '%00', '%C0%AF', ''),
    )
    const headers = fc.record(
      {
        range: fc.stringMatching(/^(bytes=)?[-,0-9 ]{0,20}$/),
        'if-none-match': fc.stringMatching(/^[W/"a-f*, ]{0,12}$/),
        'if-range': fc.stringMatching(/^["a-f]{0,12}$/),
        authorization: fc.stringMatching(/^[ -~]{0,20}$/),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(segment, { maxLength: 8 }),
        headers,
        fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'),
        async (segments, given, method) => {
          const response = await ask(`/${segments.join('/')}`, given, { method })
          await response.arrayBuffer()
          expect(response.status).toBeLessThan(500)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('is of another method', async () => {
    const { ask } = await openHub({ 'org/small': small })
    for (const [path, method, allow] of [
      [file, 'POST', 'GET, HEAD, OPTIONS'],
      [file, 'DELETE', 'GET, HEAD, OPTIONS'],
      ['/api/models/org/small/paths-info/main', 'GET', 'POST, OPTIONS'],
    ] as const) {
      const response = await ask(path, {}, { method })
      expect([response.status, response.headers.get('allow')]).toEqual([405, allow])
    }
    expect((await ask(file, { 'service-worker': 'script' })).status).toBe(400)
  })
})

describe('tokens', () => {
  const tokens = [
    { name: 'first', token: 'hf_first' },
    { name: 'second', token: 'hf_second' },
  ]

  it('without one nothing is answered but 401', async () => {
    const { ask } = await openHub({ 'org/small': small }, { tokens })
    for (const path of [file, '/org/none/resolve/main/a', '/api/models', '/', '/api/whoami-v2', '/datasets/a/b']) {
      for (const authorization of [
        undefined,
        'Bearer hf_firs',
        'Bearer hf_first2',
        'Basic hf_first',
        'Bearer ',
        'hf_first',
      ]) {
        const response = await ask(path, authorization === undefined ? {} : { authorization })
        expect(await errorOf(response)).toEqual([401, null, null])
        expect(response.headers.get('www-authenticate')).toBe('Bearer')
      }
    }
  })

  it('any of them will do, and no cache shares the answer', async () => {
    const { ask } = await openHub({ 'org/small': small }, { tokens })
    for (const { name, token } of tokens) {
      const authorization = `Bearer ${token}`
      const response = await ask(file, { authorization })
      expect([response.status, response.headers.get('cache-control'), response.headers.get('vary')]).toEqual([
        200,
        'private, no-cache',
        'Authorization',
      ])
      expect(await (await ask('/api/whoami-v2', { authorization })).json()).toMatchObject({ name, orgs: [] })
    }
  })

  it('are refused where nobody could send them', async () => {
    const repositories = await storedRepositories(await openMemoryStore(), {})
    const make = (token?: string): unknown =>
      createHubHandler(repositories, { tokens: token === undefined ? [] : [{ name: 'x', token }] })
    for (const token of [undefined, '', 'a b', 'ü']) {
      expect(() => make(token)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
    }
    for (const options of [
      { pageSize: 0 },
      { pageSize: 10_001 },
      { maxBodyBytes: NaN },
      { publicUrl: 'ftp://x.example' },
    ]) {
      expect(() => createHubHandler(repositories, options)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
    }
  })
})

describe('a page', () => {
  it('may read answers when it is allowed to', async () => {
    const origin = 'https://app.example'
    const { ask } = await openHub(
      { 'org/small': small },
      { cors: { origins: [origin] }, tokens: [{ name: 'x', token: 'hf_x' }] },
    )
    const preflight = await ask(
      file,
      { origin, 'access-control-request-method': 'GET', 'access-control-request-private-network': 'true' },
      { method: 'OPTIONS' },
    )
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-headers': expect.stringContaining('Authorization'),
      'access-control-allow-methods': 'GET, HEAD, POST, OPTIONS',
      'access-control-allow-private-network': 'true',
      'cross-origin-resource-policy': 'cross-origin',
      vary: 'Authorization, Origin',
    })
    expect([preflight.status, preflight.body]).toEqual([204, null])
    // An error can be read as well.
    const refused = await ask(file, { origin })
    expect([refused.status, refused.headers.get('access-control-expose-headers')]).toEqual([
      401,
      expect.stringContaining('X-Error-Code'),
    ])
    const other = await ask(file, { origin: 'https://other.example' })
    expect(other.headers.has('access-control-allow-origin')).toBe(false)
    const closed = await openHub({ 'org/small': small })
    expect([...(await closed.ask(file, { origin })).headers.keys()].filter((name) => name.includes('origin'))).toEqual(
      [],
    )
    const open = await openHub({ 'org/small': small }, { cors: { origins: '*' } })
    expect((await open.ask(file)).headers.get('access-control-allow-origin')).toBe('*')
  })
})

const failing = (error: unknown): HubRepositories => ({
  async open() {
    throw error
  },
})

describe('a repository that fails', () => {
  it.each([
    [new BackendError('/home/secret', { retryable: true }), 504],
    [new BackendError('/home/secret', { retryable: false }), 500],
    [new GatedError('/home/secret', { feature: 'x' }), 403],
    [new Error('/home/secret'), 500],
  ])('%s', async (error, status) => {
    const events: HubRequestEvent[] = []
    const handle = createHubHandler(failing(error), { onRequest: (event) => events.push(event) })
    const response = await asker(handle)(file)
    expect(response.status).toBe(status)
    expect(JSON.stringify([await response.json(), [...response.headers]])).not.toContain('secret')
    expect(events).toMatchObject([{ status, repo: 'org/small', error, method: 'GET', target: file }])
  })

  it.each([
    ['fails before it has begun', 504, null],
    ['has not got the file', 404, 'EntryNotFound'],
  ])('%s', async (what, status, code) => {
    const files = [await describeFile('config.json', utf8('{}'))]
    const error = what.startsWith('fails') ? new BackendError('x', { retryable: true }) : new NotFoundError('x')
    // eslint-disable-next-line require-yield
    async function* read(): AsyncGenerator<Uint8Array> {
      throw error
    }
    const handle = createHubHandler({ open: async (repo) => ({ repo, commit: 'a'.repeat(40), files, read }) })
    // Without the commit: no client may remember that there is no such file.
    expect(await errorOf(await asker(handle)(file))).toEqual([status, code, null])
  })

  it.each([
    ['fewer', [utf8('{')]],
    ['more', [utf8('{}'), utf8('!')]],
  ])('has %s bytes than it said: the body is broken off', async (_what, pieces) => {
    const files = [await describeFile('config.json', utf8('{}'))]
    async function* read(): AsyncGenerator<Uint8Array> {
      yield* pieces
    }
    const events: HubRequestEvent[] = []
    const handle = createHubHandler(
      { open: async (repo) => ({ repo, commit: 'a'.repeat(40), files, read }) },
      { onRequest: (event) => events.push(event) },
    )
    await expect(bytesOf(await asker(handle)(file))).rejects.toMatchObject({ code: 'BACKEND' })
    expect(events).toMatchObject([{ outcome: 'failed', status: 200 }])
  })
})

describe('a reader', () => {
  const pieces = 50
  async function openLong({ onRead }: { onRead?: () => void } = {}): Promise<{
    handle: (request: Request) => Promise<Response>
    read: { count: number; isLeft: boolean; signal: AbortSignal | undefined }
    events: HubRequestEvent[]
  }> {
    const piece = noise(1000)
    const files = [{ ...(await describeFile('config.json', utf8(''))), size: pieces * piece.length }]
    const read: { count: number; isLeft: boolean; signal: AbortSignal | undefined } = {
      count: 0,
      isLeft: false,
      signal: undefined,
    }
    const events: HubRequestEvent[] = []
    const handle = createHubHandler(
      {
        open: async (repo) => ({
          repo,
          commit: 'a'.repeat(40),
          files,
          async *read(_path, { signal } = {}) {
            read.signal = signal
            try {
              for (; read.count < pieces;) {
                read.count += 1
                onRead?.()
                yield piece
              }
            } finally {
              read.isLeft = true
            }
          },
        }),
      },
      { onRequest: (event) => events.push(event) },
    )
    return { handle, read, events }
  }

  it('that does not read holds one piece', async () => {
    const { handle, read } = await openLong()
    const response = await asker(handle)(file)
    const reader = response.body?.getReader()
    expect(read.count).toBe(1)
    await reader?.read()
    await reader?.read()
    // All that is ready to run has run.
    for (let turn = 0; turn < 10; turn++) await setImmediate()
    expect(read.count).toBe(2)
    expect(read.signal?.aborted).toBe(false)
    await reader?.cancel()
    expect([read.isLeft, read.signal?.aborted]).toEqual([true, true])
  })

  it('that goes away stops the repository', async () => {
    const { handle, read, events } = await openLong()
    const gone = new AbortController()
    const response = await asker(handle)(file, {}, { signal: gone.signal })
    const reader = response.body?.getReader()
    await reader?.read()
    gone.abort(new Error('gone'))
    await expect(reader?.read()).rejects.toThrow('gone')
    expect(read.signal?.aborted).toBe(true)
    await vi.waitFor(() => expect(read.isLeft).toBe(true), 60_000)
    expect(events).toMatchObject([{ outcome: 'cancelled' }])
    await expect(asker(handle)(file, {}, { signal: gone.signal })).rejects.toThrow('gone')
  })

  it.each([
    ['cancels', async (response: Response) => response.body?.cancel()],
    ['aborts', async (_response: Response, gone: AbortController) => gone.abort(new Error('gone'))],
  ])('that %s before it has read leaves nothing open', async (_what, leave) => {
    const { handle, read, events } = await openLong()
    const gone = new AbortController()
    const response = await asker(handle)(file, {}, { signal: gone.signal })
    expect([read.count, read.isLeft]).toEqual([1, false])
    await leave(response, gone)
    await vi.waitFor(() => expect(read.isLeft).toBe(true), 60_000)
    expect([read.count, read.signal?.aborted]).toEqual([1, true])
    expect(events).toMatchObject([{ outcome: 'cancelled', bytes: 0 }])
  })

  it('that is gone before there is an answer leaves nothing open', async () => {
    const gone = new AbortController()
    const { handle, read } = await openLong({ onRead: () => gone.abort(new Error('gone')) })
    await expect(asker(handle)(file, {}, { signal: gone.signal })).rejects.toThrow('gone')
    expect([read.count, read.isLeft]).toEqual([1, true])
  })

  it('of a HEAD reads nothing', async () => {
    const { handle, read } = await openLong()
    const head = await asker(handle)(file, {}, { method: 'HEAD' })
    expect([head.headers.get('content-length'), read.count]).toEqual(['50000', 0])
  })
})

it('a listing that no client should write is refused', async () => {
  const good = await describeFile('config.json', utf8('{}'))
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const { cid } = await store.add(utf8('{}'))
  const read = (): AsyncIterable<Uint8Array> => store.cat(cid)
  for (const path of ['../a', '/a', 'a//b', 'a/../b', '', 'a\0']) {
    const files = [good, { ...good, path }]
    const handle = createHubHandler({ open: async (repo) => ({ repo, commit: 'a'.repeat(40), files, read }) })
    expect((await errorOf(await asker(handle)(file)))[0]).toBe(500)
  }
  const handle = createHubHandler({ open: async (repo) => ({ repo, commit: 'main', files: [good], read }) })
  expect((await errorOf(await asker(handle)(file)))[0]).toBe(500)
})
