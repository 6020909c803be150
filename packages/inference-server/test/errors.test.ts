import { BusyError, CrashError } from '@x/infer-core'
import {
  BackendError,
  GatedError,
  IntegrityError,
  InvalidInputError,
  NoSpaceError,
  NotFoundError,
  UnsupportedError,
} from '@x/storage-core'
import { assert, asyncProperty, jsonValue, oneof, record } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { createInferenceHandler, type InferenceRequestEvent } from '../src/index.ts'
import { cidFrom, clientOf, jsonOf, modelOf, portsOf, type Client, type Run } from './support.ts'

const PATH = '/v1/embeddings'
const fine: Run = () => ({ output: { type: 'float32', dims: [1], data: Float32Array.of(1) } })

async function served(run: Run = fine, options: Parameters<typeof clientOf>[1] = {}): Promise<Client> {
  return clientOf(portsOf([await modelOf('m', 'feature-extraction')], run), options)
}

/** A request whose body is read as it comes. */
function requestWith(body: ReadableStream<Uint8Array<ArrayBuffer>>): Request {
  const streamed = { body, duplex: 'half' as const }
  return new Request(`http://localhost${PATH}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    ...streamed,
  })
}

async function failing(
  error: unknown,
): Promise<{ response: Response; error: unknown; event: InferenceRequestEvent | undefined }> {
  let event: InferenceRequestEvent | undefined
  const client = await served(
    () => {
      throw error
    },
    { onRequest: (one) => void (event = one) },
  )
  const response = await client.post(PATH, { input: 'a' })
  const { error: told } = await jsonOf(response)
  return { response, error: told, event }
}

describe('what went wrong behind it', () => {
  it('is told by a status, and whether to ask again', async () => {
    const cid = await cidFrom('x')
    const cases: [unknown, number, Record<string, unknown>, string | null][] = [
      [
        new InvalidInputError('a text of it', { input: '' }),
        400,
        { type: 'invalid_request_error', message: 'a text of it' },
        null,
      ],
      [new UnsupportedError('no such thing'), 400, { code: 'unsupported_value' }, null],
      [new BusyError('1024 wait'), 429, { type: 'rate_limit_error', code: 'server_busy', message: '1024 wait' }, null],
      [new GatedError('off', { feature: 'network' }), 403, { type: 'permission_error', code: 'gated' }, 'false'],
      [new CrashError('it ended', { model: 'm' }), 500, { code: 'inference_crashed' }, 'true'],
      [new NotFoundError('x', { cid }), 500, { code: 'model_incomplete' }, 'false'],
      [new IntegrityError('damaged', { cid }), 500, { code: 'model_damaged' }, 'false'],
      [new NoSpaceError('too large'), 507, { code: 'model_too_large' }, 'false'],
      [new BackendError('passes', { retryable: true }), 500, { code: 'backend' }, null],
      [new BackendError('stays', { retryable: false }), 500, { code: 'backend' }, 'false'],
      [new TypeError('a bug'), 500, { type: 'server_error', code: null, message: 'the server failed' }, 'false'],
    ]
    for (const [cause, status, told, retry] of cases) {
      const { response, error, event } = await failing(cause)
      expect([cause, response.status, error]).toMatchObject([cause, status, { ...told, param: null }])
      expect(response.headers.get('x-should-retry')).toBe(retry)
      expect(event).toMatchObject({ status, outcome: status >= 500 ? 'failed' : 'finished', error: cause })
    }
  })

  it('says when to come again: where it is busy, and where a model that crashes is left alone', async () => {
    const busy = await failing(new BusyError('full'))
    expect(busy.response.headers.get('retry-after')).toBe('1')
    expect(busy.response.headers.get('retry-after-ms')).toBe('1000')
    const quarantined = await failing(new CrashError('again', { model: 'm', quarantinedUntilMs: Date.now() + 45_000 }))
    expect(Number(quarantined.response.headers.get('retry-after'))).toBeGreaterThan(30)
  })

  it('names nothing that is local', async () => {
    const secrets = ['/home/me/model.onnx', 'C:\\models\\a.onnx', 'file:///srv/a', '~/models/a']
    for (const secret of secrets) {
      for (const message of [`cannot read ${secret}`, `load (${secret})`, secret]) {
        for (const cause of [
          new InvalidInputError(message, { input: '' }),
          new BusyError(message),
          new Error(message),
        ]) {
          const { response, error } = await failing(cause)
          expect(JSON.stringify([error, [...response.headers]])).not.toContain(JSON.stringify(secret).slice(1, -1))
        }
      }
    }
  })
})

describe('a request', () => {
  it('is JSON in UTF-8, as its type says, uncompressed', async () => {
    const client = await served()
    const json = { 'content-type': 'application/json' }
    const told = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<number> =>
      (await client.post(PATH, body, { headers })).status
    expect(await told('{"input":"a"}', { 'content-type': 'application/json; charset=utf-8' })).toBe(200)
    expect(await told('{"input":"a"}', { 'content-type': 'text/plain' })).toBe(415)
    expect(await told('{"input":"a"}', { 'content-type': 'application/x-www-form-urlencoded' })).toBe(415)
    expect(await told('{"input":"a"}', { ...json, 'content-encoding': 'gzip' })).toBe(415)
    expect(await told('{"input":', json)).toBe(400)
    expect(await told('', json)).toBe(400)
    expect(await told(Uint8Array.of(0x22, 0xff, 0x22), json)).toBe(400)
    expect(await told('["a"]', json)).toBe(400)
  })

  it('is no longer than allowed, whether it says how long it is or not', async () => {
    const client = await served(fine, { maxBodyBytes: 100 })
    const long = JSON.stringify({ input: 'a'.repeat(100) })
    const said = await client.post(PATH, long, {
      headers: { 'content-type': 'application/json', 'content-length': '114' },
    })
    let given = 0
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        given += 1
        if (given === 1000) controller.close()
        controller.enqueue(new Uint8Array(60))
      },
    })
    const unsaid = await createInferenceHandler(portsOf([await modelOf('m', 'feature-extraction')], fine), {
      maxBodyBytes: 100,
    })(requestWith(body))
    for (const response of [said, unsaid]) {
      expect(response.status).toBe(413)
      expect(response.headers.get('connection')).toBe('close')
      expect(await jsonOf(response)).toMatchObject({ error: { code: 'request_too_large' } })
    }
    // The rest is left where it is.
    expect(given).toBeLessThan(5)
  })

  it('is given up when nothing comes of its body', async () => {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>()
    const handle = createInferenceHandler(portsOf([await modelOf('m', 'feature-extraction')], fine), {
      stallTimeoutMs: 1,
    })
    const response = await handle(requestWith(body))
    expect(response.status).toBe(408)
  })

  it('has an end: its deadline, or the client leaves', async () => {
    const reasons: unknown[] = []
    const begun = Promise.withResolvers<void>()
    const never: Run = (text, { signal }) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          reasons.push(signal.reason)
          reject(signal.reason)
        })
        if (text === 'left') begun.resolve()
      })
    const late = await (await served(never, { deadlineMs: 1 })).post(PATH, { input: 'a' })
    expect([late.status, await jsonOf(late)]).toMatchObject([504, { error: { code: 'timeout' } }])
    const gone = new AbortController()
    const events: InferenceRequestEvent[] = []
    const client = await served(never, { onRequest: (event) => events.push(event) })
    const asked = client.post(PATH, { input: 'left' }, { signal: gone.signal })
    await begun.promise
    const reason = new Error('the client went away')
    gone.abort(reason)
    await expect(asked).rejects.toBe(reason)
    expect(events).toMatchObject([{ status: undefined, outcome: 'cancelled' }])
    expect(reasons.at(-1)).toBe(reason)
  })

  it('has a path and a method that there are', async () => {
    const client = await served()
    for (const path of [
      '/v1/responses',

      '/v1/embeddings/',
      '//v1/embeddings',
      '/v1/models/..%2f..',
      '/receipts/',
    ]) {
      const response = await client.get(path)
      expect([path, response.status]).toEqual([path, 404])
      expect(await jsonOf(response)).toHaveProperty('error.message')
    }
    const wrong = await client.get(PATH)
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST, OPTIONS'])
    const options = await client.get('/v1/models', { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
    // No page is told that it may ask.
    expect(options.headers.get('access-control-allow-origin')).toBeNull()
    const head = await client.get('/v1/models', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  it('keeps the name that its client gave it, where that is one', async () => {
    const client = await served()
    const idOf = async (given: string): Promise<string | null> =>
      (await client.get('/v1/models', { headers: { 'x-request-id': given } })).headers.get('x-request-id')
    expect(await idOf('req_1')).toBe('req_1')
    expect(await idOf('a b')).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('is never a failure of the server, whatever JSON it is', async () => {
    const client = await served()
    const property = asyncProperty(
      oneof(
        jsonValue(),
        record({ input: jsonValue(), model: jsonValue(), dimensions: jsonValue() }, { requiredKeys: [] }),
      ),
      async (body) => {
        const { status } = await client.post(PATH, JSON.stringify(body))
        expect([200, 400, 404]).toContain(status)
      },
    )
    await assert(property, { numRuns: 300 })
  })
})

it('takes no number for a limit that is none', async () => {
  const ports = portsOf([], fine)
  for (const value of [0, -1, 1.5, NaN])
    expect(() => createInferenceHandler(ports, { maxInputs: value })).toThrow('maxInputs')
})

it('takes no text that would hold a thread, by whichever route it comes', async () => {
  const asked: string[] = []
  const run: Run = (text, ...others) => {
    asked.push(text)
    return fine(text, ...others)
  }
  const client = await served(run, { maxTextCharacters: 10 })
  const long = 'x'.repeat(11)
  for (const [path, body] of [
    ['/v1/embeddings', { input: ['a', long] }],
    ['/embed', { inputs: long }],
  ] as const) {
    const response = await client.post(path, body)
    expect([path, response.status]).toEqual([path, path === '/embed' ? 422 : 400])
  }
  expect(asked).not.toContain(long)
})

it('takes no time that a timer would take for none', async () => {
  for (const name of ['deadlineMs', 'stallTimeoutMs', 'firstPieceMs', 'readTimeoutMs'] as const)
    await expect(served(fine, { [name]: 2 ** 31 })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  // As of the port.
  await expect(served(fine, { readTimeoutMs: 0 })).resolves.toBeDefined()
  await expect(served(fine, { deadlineMs: 0 })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

const say = (content: string): unknown => ({ role: 'user', content })

it('takes no chat, and no ranking, that is too long as a whole', async () => {
  const models = [await modelOf('chat', 'text-generation'), await modelOf('rank', 'rerank')]
  const asked: string[] = []
  const ports = portsOf(models, (text, _options, _model, task) => {
    asked.push(text)
    if (task === 'rerank') return { output: [{ index: 0, score: 1, document: 'x' }], tokens: { input: 1, cut: 0 } }
    return { output: { generated_text: [{ role: 'assistant', content: 'hi' }] } }
  })
  const client = clientOf(ports, { maxTextCharacters: 100 })
  const status = async (path: string, body: unknown): Promise<number> => (await client.post(path, body)).status
  const chat = '/v1/chat/completions'
  expect(await status(chat, { messages: [say('x'.repeat(100))] })).toBe(200)
  expect(await status(chat, { messages: [say('x'.repeat(60)), say('x'.repeat(60))] })).toBe(400)
  const tool = { type: 'function', function: { name: 'f', description: 'x'.repeat(100) } }
  expect(await status(chat, { messages: [say('x')], tools: [tool] })).toBe(400)
  expect(await status('/rerank', { query: 'x'.repeat(99), texts: ['a'] })).toBe(200)
  expect(await status('/rerank', { query: 'x'.repeat(99), texts: Array.from({ length: 21 }, () => 'a') })).toBe(422)
  expect(asked).toHaveLength(2)
})

it('makes no JSON of more numbers than it may', async () => {
  const data = new Float32Array(5_000_000)
  let runs = 0
  const run: Run = () => {
    runs += 1
    return { output: { type: 'float32', dims: [5_000_000], data }, tokens: { input: 1, cut: 0 } }
  }
  const client = await served(run, { windowInputs: 1 })
  const response = await client.post(PATH, { input: ['a', 'b', 'c', 'd'] })
  expect([response.status, await jsonOf(response)]).toMatchObject([400, { error: { code: 'answer_too_large' } }])
  expect(runs).toBe(2)
})
