import { encodeOutput, decodeRemoteReceipt, remoteReceiptToJson } from '@x/infer-core'
import { describe, expect, it } from 'vitest'

import { createRemoteInference } from '../src/index.ts'
import { json, mockEndpoint, modelOf, openGates, TOKEN, type Answers } from './mock-endpoint.ts'

const vector: Answers = () =>
  json({ data: [{ embedding: [0.25, -0.5] }], usage: { prompt_tokens: 3, total_tokens: 3 } })

describe('the gate', () => {
  it('is closed unless somebody opened it, and then nobody is asked', async () => {
    const remote = await mockEndpoint('openai', vector, { gates: {} })
    expect(remote.has('feature-extraction', remote.model)).toBe(false)
    await expect(remote.run('feature-extraction', remote.model, 'a')).rejects.toMatchObject({ code: 'GATED' })
    expect(remote.heard).toEqual([])
  })

  it('lets out no farther than it says', async () => {
    const gates = { 'remote-inference': 'prefer', network: 'local' } as const
    const far = await mockEndpoint('openai', vector, { gates })
    await expect(far.run('feature-extraction', far.model, 'a')).rejects.toMatchObject({ code: 'GATED' })
    const near = await mockEndpoint('openai', vector, { gates, url: 'http://127.0.0.1:1' })
    expect(near.has('feature-extraction', near.model)).toBe(true)
    await near.run('feature-extraction', near.model, 'a')
    expect([far.heard, near.heard]).toMatchObject([[], [{ path: '/v1/embeddings' }]])
  })
})

it("asks OpenAI's API for a vector, and says that nothing of it was verified", async () => {
  const remote = await mockEndpoint('openai', vector)
  const { output, endpoint, receipt, receiptCid, blocks, tokens } = await remote.run(
    'feature-extraction',
    remote.model,
    'hello',
  )
  expect(output).toEqual({ type: 'float32', dims: [2], data: Float32Array.of(0.25, -0.5) })
  expect([endpoint, tokens]).toEqual(['lab', { input: 3, cut: 0 }])
  expect(remote.heard).toMatchObject([
    {
      method: 'POST',
      path: '/base/v1/embeddings',
      json: { model: 'their-name', input: ['hello'], encoding_format: 'float' },
    },
  ])
  expect(remote.heard[0]?.headers.get('authorization')).toBe(`Bearer ${TOKEN}`)
  expect(receipt).toMatchObject({ kind: 'remote', verified: 'nothing', remoteModel: 'their-name', endpoint: 'lab' })
  expect(receipt.model.equals(remote.model)).toBe(true)
  const own = blocks.find(({ cid }) => cid.equals(receiptCid))
  expect(decodeRemoteReceipt(own?.bytes ?? new Uint8Array())).toEqual(receipt)
  expect(receipt.output.equals((await encodeOutput(output)).cid)).toBe(true)
  expect(blocks.map(({ cid }) => cid.toString())).toEqual(
    expect.arrayContaining([receipt.input, receipt.params, receipt.output].map(String)),
  )
  expect(JSON.stringify(remoteReceiptToJson(receipt, receiptCid))).not.toMatch(/gpu\.example|token/)
})

it('asks text-embeddings-inference for vectors, rankings and labels', async () => {
  const remote = await mockEndpoint('tei', ({ path }) => {
    if (path.endsWith('/embed')) return json([[1, 2]])
    if (path.endsWith('/rerank')) {
      return json([
        { index: 0, score: 0.1 },
        { index: 1, score: 0.9 },
      ])
    }
    return json([
      { label: 'bad', score: 0.2 },
      { label: 'good', score: 0.8 },
    ])
  })
  const embedded = await remote.run('feature-extraction', remote.model, 'a', { options: { normalize: false } })
  expect(embedded.output.data).toEqual(Float32Array.of(1, 2))
  const ranked = await remote.run(
    'rerank',
    remote.model,
    { query: 'q', documents: ['x', 'y'] },
    { options: { top_k: 1 } },
  )
  expect(ranked.output).toEqual([{ index: 1, score: 0.9, document: 'y' }])
  const labelled = await remote.run('text-classification', remote.model, 'a')
  expect(labelled.output).toEqual([{ label: 'good', score: 0.8 }])
  expect(remote.heard.map((one) => one.json)).toEqual([
    { inputs: ['a'], normalize: false, truncate: false },
    { query: 'q', texts: ['x', 'y'], truncate: false },
    { inputs: 'a', truncate: false },
  ])
})

it('asks nobody what an endpoint has no word for, or is not told of', async () => {
  const remote = await mockEndpoint('openai', vector)
  const pooled = remote.run('feature-extraction', remote.model, 'a', { options: { pooling: 'cls' } })
  await expect(pooled).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('pooling') })
  const ranking = remote.run('rerank', remote.model, { query: 'q', documents: ['x'] })
  await expect(ranking).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const other = remote.run('feature-extraction', await modelOf('another'), 'a')
  await expect(other).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect([
    remote.has('rerank', remote.model),
    remote.has('feature-extraction', remote.model),
    remote.has('no-task', remote.model),
  ]).toEqual([false, true, false])
  expect(remote.heard).toEqual([])
})

/** What is said of an answer that fails, without the token. */
async function failing(answer: Answers, code: string, token = TOKEN): Promise<string> {
  const remote = await mockEndpoint('openai', answer, { options: { maxBytes: 1000 }, settings: { token } })
  const error: unknown = await remote.run('feature-extraction', remote.model, 'a').catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code })
  const said = error instanceof Error ? error.message : ''
  expect(said).toContain('lab')
  expect(said).not.toContain(token)
  return said
}

describe('an answer that is none', () => {
  it.each<[string, Answers, string]>([
    ['too much to do', () => json({ error: { message: 'later' } }, { status: 429 }), 'BUSY'],
    ['refused', () => json({ error: 'too long' }, { status: 422 }), 'INVALID_INPUT'],
    ['no such model', () => new Response(null, { status: 404 }), 'NOT_FOUND'],
    ['a wrong token', () => json({}, { status: 401 }), 'BACKEND'],
    ['a failure', () => new Response('<h1>oh</h1>', { status: 502 }), 'BACKEND'],
    ['elsewhere', () => new Response(null, { status: 307, headers: { location: 'https://evil.example' } }), 'BACKEND'],
    ['a page', () => new Response('<html>'), 'BACKEND'],
    ['too long', () => json({ data: 'x'.repeat(2000) }), 'BACKEND'],
    ['empty', () => json({ data: [] }), 'BACKEND'],
    ['no numbers', () => json({ data: [{ embedding: [1, null] }] }), 'BACKEND'],
    ['two vectors', () => json({ data: [{ embedding: [1] }, { embedding: [2] }] }), 'BACKEND'],
    ['nobody there', () => Promise.reject(new TypeError('fetch failed')), 'BACKEND'],
  ])('%s', async (_, answer, code) => {
    expect(await failing(answer, code)).not.toMatch(/evil\.example|<h1>.*<h1>/)
  })

  it('is told in a line, as far as it goes', async () => {
    const said = `a\n\u001B[31mred\u0000${'x'.repeat(1000)}`
    const message = await failing(() => json({ error: { message: said } }, { status: 500 }), 'BACKEND')
    // oxlint-disable-next-line no-control-regex
    expect(message).not.toMatch(/[\u0000-\u001F]/)
    expect(message.length).toBeLessThan(400)
  })

  it.each<[string, (authorization: string) => Response]>([
    ['as it is', (header) => new Response(`no such key: ${header}`, { status: 400 })],
    ['without its scheme', (header) => json({ error: `no key ${header.slice(7)} here` }, { status: 422 })],
    ['where it is cut', (header) => new Response(`${'x '.repeat(145)}${header.slice(7)}`, { status: 500 })],
    ['in JSON', (header) => json({ detail: [{ input: { key: header.slice(7) } }] }, { status: 422 })],
    ['in a URL', (header) => new Response(`/?key=${encodeURIComponent(header.slice(7))}`, { status: 404 })],
    ['over lines', (header) => new Response(header.replace(' ', '\r\n  '), { status: 429 })],
  ])('says nothing of the token where it is repeated %s', async (_, answer) => {
    for (const token of [TOKEN, String.raw`to"k\en/+=&`]) {
      const secrets = [token, JSON.stringify(token).slice(1, -1), encodeURIComponent(token)]
      const code = expect.any(String)
      const said = await failing(({ headers }) => answer(headers.get('authorization') ?? ''), code, token)
      expect(said).toContain('[...]')
      for (const secret of secrets) expect(said).not.toContain(secret.slice(0, 8))
    }
  })

  it("says nothing of another's, whichever it is", async () => {
    const said = await failing(() => new Response('not Bearer s3cret, but BEARER t0ken', { status: 401 }), 'BACKEND')
    expect(said).toMatch(/: not Bearer \[\.\.\.\] but BEARER \[\.\.\.\]$/)
  })

  it('is no ranking unless each document has its place', async () => {
    const answers = [[], [{ index: 0, score: 1 }], [{ index: 2, score: 1 }], [{ index: 0 }], 'x']
    for (const answer of answers) {
      const remote = await mockEndpoint('tei', () => json(answer))
      const ranking = remote.run('rerank', remote.model, { query: 'q', documents: ['x', 'y'] })
      await expect(ranking).rejects.toMatchObject({ code: 'BACKEND' })
    }
  })
})

it('takes no settings that cannot be, and says no secret of them', async () => {
  const model = await modelOf('m')
  const settings = {
    name: 'lab',
    url: 'https://a.example',
    api: 'openai',
    models: { [model.toString()]: 'm' },
  } as const
  const gates = openGates()
  for (const wrong of [
    { name: 'no name' },
    { url: 'not a url with s3cret' },
    { url: 'https://user:s3cret@a.example' },
    { url: 'ftp://a.example' },
    { url: 'https://a.example?key=s3cret' },
    { token: 's3cret\n' },
    { models: {} },
    { models: { 'hf://org/name': 'm' } },
  ]) {
    const create = (): unknown => createRemoteInference({ endpoints: [{ ...settings, ...wrong }], gates })
    expect(create).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
    expect(create).not.toThrow(/s3cret/)
  }
  expect(() => createRemoteInference({ endpoints: [settings, settings], gates })).toThrow('two endpoints')
})

it('is stopped also while an endpoint says what is wrong', async () => {
  const stop = new AbortController()
  const body = new ReadableStream(
    {
      pull: () => {
        stop.abort(new Error('enough'))
        return new Promise<void>(() => undefined)
      },
    },
    // Nothing is made of it before it is read.
    { highWaterMark: 0 },
  )
  const remote = await mockEndpoint('openai', () => new Response(body, { status: 500 }))
  const asked = remote.run('feature-extraction', remote.model, 'a', { signal: stop.signal })
  await expect(asked).rejects.toThrow('enough')
})
