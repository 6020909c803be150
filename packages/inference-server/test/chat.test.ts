import { BusyError } from '@x/infer-core'
import { InvalidInputError } from '@x/storage-core'
import { assert, asyncProperty, integer } from 'fast-check'
import { expect, it, onTestFinished, vi } from 'vitest'

import type { InferenceRequestEvent, InferenceRunOptions } from '../src/index.ts'
import { clientOf, jsonOf, modelOf, portsOf, type Client, type Run } from './support.ts'

const PATH = '/v1/chat/completions'
const MESSAGES = [{ role: 'user', content: 'hi' }]

/** Says a text in pieces. */
const says =
  (...pieces: string[]): Run =>
  (_text, { onText }) => {
    for (const piece of pieces) onText?.(piece)
    return spoken(pieces.join(''))
  }

const spoken = (content: string): Awaited<ReturnType<Run>> => ({
  output: { generated_text: [{ role: 'assistant', content }] },
  tokens: { input: 5, cut: 0, output: 2, ended: 'model' },
})

async function served(run: Run, options: Parameters<typeof clientOf>[1] = {}): Promise<Client> {
  const models = [await modelOf('m', 'text-generation'), await modelOf('eye', 'image-text-to-text')]
  return clientOf(portsOf(models, run), options)
}

const post = (client: Client, body: object, init?: RequestInit): Promise<Response> =>
  client.post(PATH, { model: 'm', messages: MESSAGES, ...body }, init)

/** What the engine was given for a request. */
async function given(body: object): Promise<{ text: string; options: InferenceRunOptions; task: string }[]> {
  const runs: { text: string; options: InferenceRunOptions; task: string }[] = []
  const client = await served((text, options, _model, task) => {
    runs.push({ text, options, task })
    return task === 'image-text-to-text' ? { output: { generated_text: 'seen' } } : spoken('a')
  })
  const response = await post(client, body)
  expect([response.status, await response.json()]).toMatchObject([200, {}])
  return runs
}

/** With the id and the time of an answer as ID and 1. */
const steady = (text: string): string =>
  text.replaceAll(/chatcmpl-[0-9a-f-]{36}/g, 'ID').replaceAll(/"created":\d{10},/g, '"created":1,')

it('answers a chat as OpenAI does', async () => {
  const model = await modelOf('m', 'text-generation')
  const client = await served(says('Hello'))
  const response = await post(client, {})
  const cid = model.cid.toString()
  expect(response.headers.get('x-ipfs-accelerate-model')).toBe(cid)
  expect(response.headers.get('x-ipfs-accelerate-from')).toBe('computed')
  expect(response.headers.get('x-ipfs-accelerate-receipt')).toMatch(/^bafy/)
  expect(steady(await response.text())).toBe(
    `{"id":"ID","object":"chat.completion","created":1,"model":"m","system_fingerprint":"${cid}",` +
      '"choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"}],' +
      '"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}',
  )
})

const delta = (what: string, reason = 'null'): string =>
  `{"index":0,"delta":${what},"logprobs":null,"finish_reason":${reason}}`

it('answers for the model of the path, whatever URL a client takes for its name', async () => {
  const client = await served(says('Hello'))
  const body = { model: 'http://127.0.0.1/models/m/v1/chat/completions', messages: MESSAGES }
  for (const stream of [false, true]) {
    const response = await client.post(`/models/m${PATH}`, { ...body, stream })
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('"model":"m"')])
  }
})

it('streams each piece, why it ended, and on what it rests; and what was used where that is asked', async () => {
  const cid = (await modelOf('m', 'text-generation')).cid.toString()
  for (const includeUsage of [false, true]) {
    const go = Promise.withResolvers<void>()
    const client = await served(async (_text, { onText }) => {
      onText?.('Hel')
      await go.promise
      onText?.('lo')
      return spoken('Hello!')
    })
    const response = await post(client, { stream: true, stream_options: { include_usage: includeUsage } })
    // The headers did not wait for the rest.
    go.resolve()
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-ipfs-accelerate-model': cid,
    })
    const text = steady(await response.text())
    const receipt = /"receipt":"(\w+)"/.exec(text)?.[1]
    expect(await jsonOf(await client.get(`/receipts/${receipt}`))).toMatchObject({ task: 'text-generation' })
    const usage = includeUsage ? ',"usage":null' : ''
    const frame = (choice: string, more = ''): string =>
      `data: {"id":"ID","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"${cid}","choices":[${choice}]${more}}\n\n`
    const rests = `,"ipfs_accelerate":{"model":"${cid}","receipt":"${receipt}","from":"computed"}`
    expect(text).toBe(
      frame(delta('{"role":"assistant","content":""}'), usage) +
        frame(delta('{"content":"Hel"}'), usage) +
        frame(delta('{"content":"lo"}'), usage) +
        frame(delta('{"content":"!"}'), usage) +
        frame(delta('{}', '"stop"'), usage + rests) +
        (includeUsage ? frame('', ',"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}') : '') +
        'data: [DONE]\n\n',
    )
  }
})

it('streams what was kept in one piece, and says so before', async () => {
  const client = await served(() => ({ ...spoken('Hello'), from: 'disk' }))
  const response = await post(client, { stream: true })
  expect(response.headers.get('x-ipfs-accelerate-from')).toBe('disk')
  expect(response.headers.get('x-ipfs-accelerate-receipt')).toMatch(/^bafy/)
  const text = await response.text()
  expect(text.match(/"content":"[^"]+"/g)).toEqual(['"content":"Hello"'])
  expect(text).toContain('"from":"disk"')
})

const told = async (tokens: Awaited<ReturnType<Run>>['tokens']): Promise<unknown> => {
  const client = await served(() => ({ ...spoken('a'), tokens }))
  const whole: { choices: { finish_reason: unknown }[]; usage?: object } = JSON.parse(
    await (await post(client, {})).text(),
  )
  const streamed = await (await post(client, { stream: true, stream_options: { include_usage: true } })).text()
  const reasons = [...streamed.matchAll(/"finish_reason":(\S+?)\}/g)].map(([, reason]) => reason)
  expect(reasons.at(-1)).toBe(JSON.stringify(whole.choices[0]?.finish_reason))
  expect(streamed.includes('"total_tokens"')).toBe(whole.usage !== undefined)
  return [whole.choices[0]?.finish_reason, whole.usage !== undefined]
}

it('says why a text ended, and what was used, only where somebody counted', async () => {
  expect(await told({ input: 5, cut: 0, output: 2, ended: 'length' })).toEqual(['length', true])
  expect(await told({ input: 5, cut: 0, output: 2, ended: 'stop' })).toEqual(['stop', true])
  expect(await told(undefined)).toEqual([null, false])
  expect(await told({ input: 5, cut: 0 })).toEqual([null, false])
})

const optionsOf = async (body: object): Promise<unknown> => (await given(body))[0]?.options.options

it('asks for the likeliest text, as long as is asked, until a stop', async () => {
  expect(await optionsOf({})).toEqual({ max_new_tokens: 1024 })
  expect(await optionsOf({ max_tokens: 7 })).toEqual({ max_new_tokens: 7 })
  expect(await optionsOf({ max_tokens: 7, max_completion_tokens: 8 })).toEqual({ max_new_tokens: 8 })
  expect(await optionsOf({ stop: 'x' })).toEqual({ max_new_tokens: 1024, stop: ['x'] })
  expect(await optionsOf({ stop: ['x', 'y'] })).toEqual({ max_new_tokens: 1024, stop: ['x', 'y'] })
  expect(await optionsOf({ stop: [], temperature: 0, top_p: 0.5, seed: 7 })).toEqual({ max_new_tokens: 1024 })
})

it('draws only with a seed, one of its own where none is given', async () => {
  const [drawn] = await given({ temperature: 0.7, top_p: 0.9 })
  expect(drawn?.options).toMatchObject({ cache: 'bypass', options: { temperature: 0.7, top_p: 0.9 } })
  expect(drawn?.options.options?.['seed']).toBeTypeOf('number')
  const [again] = await given({ temperature: 0.7 })
  expect(again?.options.options?.['seed']).not.toBe(drawn?.options.options?.['seed'])
  const two = await given({ temperature: 1, top_p: 1, seed: 2 ** 32 - 2, n: 2 })
  const common = { max_new_tokens: 1024, temperature: 1 }
  expect(two.map(({ options }) => options.options)).toEqual([
    { ...common, seed: 2 ** 32 - 2 },
    { ...common, seed: 0 },
  ])
  expect(two.map(({ options }) => options.cache)).toEqual([undefined, undefined])
  // As many as an engine has.
  const [negative] = await given({ temperature: 1, seed: -1 })
  expect(negative?.options.options).toMatchObject({ seed: 2 ** 32 - 2 })
})

it('gives n texts, each with its index, the prompt counted once', async () => {
  const client = await served((_text, { options, onText }) => {
    onText?.(`${String(options?.['seed'])}.`)
    return spoken(`${String(options?.['seed'])}.`)
  })
  const body = { temperature: 1, seed: 3, n: 2 }
  const whole = await jsonOf(await post(client, body))
  expect(whole).toMatchObject({
    choices: [
      { index: 0, message: { content: '3.' } },
      { index: 1, message: { content: '4.' } },
    ],
    usage: { prompt_tokens: 5, completion_tokens: 4, total_tokens: 9 },
  })
  const streamed = await (await post(client, { ...body, stream: true })).text()
  expect(streamed.match(/"index":1,"delta":\{"content":"4\."\}/g)).toHaveLength(1)
  expect(streamed.match(/"finish_reason":"stop"/g)).toHaveLength(2)
})

it('passes over what it does not know and what changes nothing, and refuses what it does not do', async () => {
  const client = await served(says('a'))
  const neutral = {
    user: 'u',
    metadata: { a: 'b' },
    store: true,
    service_tier: 'auto',
    parallel_tool_calls: true,
    reasoning_effort: 'low',
    priority: 1,
    n: 1,
    frequency_penalty: 0,
    presence_penalty: null,
    logit_bias: {},
    logprobs: false,
    top_logprobs: null,
    response_format: { type: 'text' },
    modalities: ['text'],
    tools: [],
    stream_options: null,
    stop: null,
  }
  expect((await post(client, neutral)).status).toBe(200)
  const refused: Record<string, unknown> = {
    n: 2,
    max_tokens: 0,
    temperature: 3,
    seed: 1.5,
    stop: ['a', ''],
    frequency_penalty: 0.5,
    presence_penalty: -1,
    logit_bias: { 7: 1 },
    logprobs: true,
    response_format: { type: 'json_object' },
    modalities: ['audio'],
    functions: [{ name: 'f' }],
    messages: [],
    stream: 'yes',
  }
  const five = await post(client, { stop: ['a', 'b', 'c', 'd', 'e'] })
  expect(await jsonOf(five)).toMatchObject({ error: { message: 'stop: up to 4 texts, of 1 to 256 characters' } })
  for (const [param, value] of Object.entries(refused)) {
    const response = await post(client, { [param]: value })
    const { error } = await jsonOf(response)
    expect([param, response.status, error]).toMatchObject([
      param,
      400,
      { param: expect.stringMatching(`^${param}`), type: 'invalid_request_error' },
    ])
  }
})

it('reads messages in parts, and from a developer', async () => {
  const [run] = await given({
    messages: [
      { role: 'developer', content: 'be brief' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      { role: 'assistant', content: 'c' },
      { role: 'user', content: '' },
    ],
  })
  expect(JSON.parse(run?.text ?? '')).toEqual([
    { role: 'system', content: 'be brief' },
    { role: 'user', content: 'ab' },
    { role: 'assistant', content: 'c' },
    { role: 'user', content: '' },
  ])
})

it('refuses messages that are none, by where they are', async () => {
  const client = await served(says('a'))
  const wrong: [unknown, string][] = [
    [{ role: 'user' }, 'messages.0.content'],
    [{ role: 'assistant', content: null }, 'messages.0.content'],
    [{ role: 'function', content: 'a' }, 'messages.0.role'],
    [{ role: 'tool', content: 'a' }, 'messages.0'],
    [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }, 'messages.0.content.0'],
    [{ role: 'system', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }, 'messages.0.content.0'],
    ['hi', 'messages.0'],
  ]
  for (const [message, param] of wrong) {
    const response = await post(client, { messages: [message] })
    expect([response.status, await jsonOf(response)]).toMatchObject([400, { error: { param } }])
  }
})

const picture = (url: string): object => ({
  model: 'eye',
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'what is this?' },
        { type: 'image_url', image_url: { url } },
      ],
    },
  ],
})

it('takes the image that a request brings along, and opens nothing else', async () => {
  const runs = await given(picture('data:image/png;base64,AP8='))
  expect(runs).toMatchObject([{ task: 'image-text-to-text' }])
  expect(JSON.parse(runs[0]?.text ?? '')).toEqual({ text: 'what is this?', image: { 0: 0, 1: 255 } })
  const opened = vi.spyOn(globalThis, 'fetch')
  onTestFinished(() => opened.mockRestore())
  const client = await served(says('a'))
  const urls = [
    'http://a.example/a.png',
    'https://a.example/a.png',
    '/etc/passwd',
    'file:///etc/passwd',
    'data:text/plain;base64,AP8=',
    'data:image/png;base64,%%',
    'data:image/png;base64,',
    'ipfs://bafy',
    '',
  ]
  for (const url of urls) {
    const response = await client.post(PATH, picture(url))
    expect([url, response.status, await jsonOf(response)]).toMatchObject([url, 400, { error: { param: 'messages' } }])
  }
  expect(opened).not.toHaveBeenCalled()
  // Who reads no images is not given any.
  const blind = await post(client, { ...picture('data:image/png;base64,AP8='), model: 'm' })
  expect([blind.status, await jsonOf(blind)]).toMatchObject([400, { error: { code: 'model_not_suitable' } }])
})

it('answers with a status what goes wrong before there is a piece', async () => {
  for (const stream of [false, true]) {
    const client = await served(() => Promise.reject(new BusyError('1024 wait')))
    const response = await post(client, { stream })
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '1'])
    expect(await jsonOf(response)).toMatchObject({ error: { code: 'server_busy' } })
  }
})

it('says that a prompt is too long', async () => {
  const client = await served(() => Promise.reject(new InvalidInputError('600 tokens', { input: 'prompt' })))
  const response = await post(client, { stream: true })
  const error = { code: 'context_length_exceeded', message: '600 tokens' }
  expect([response.status, await jsonOf(response)]).toMatchObject([400, { error }])
})

it('says in the stream what goes wrong behind it, and that it failed', async () => {
  const events: InferenceRequestEvent[] = []
  const error = new Error('at /home/me')
  const client = await served(
    async (_text, { onText }) => {
      onText?.('a')
      throw error
    },
    { onRequest: (event) => events.push(event) },
  )
  const response = await post(client, { stream: true })
  expect(response.status).toBe(200)
  expect(events).toEqual([])
  const frames = (await response.text()).trimEnd().split('\n\n')
  expect(frames.at(-2)).toContain('"content":"a"')
  expect(frames.at(-1)).toBe(
    'data: {"error":{"message":"the server failed","type":"server_error","param":null,"code":null}}',
  )
  expect(events).toMatchObject([{ status: 200, outcome: 'failed', error }])
})

it('does not go on as if, when a text is not what was sent of it', async () => {
  const client = await served((_text, { onText }) => {
    onText?.('ab')
    return spoken('ba')
  })
  const text = await (await post(client, { stream: true })).text()
  expect(text).toContain('"code":"model_output_invalid"')
  expect(text).not.toContain('[DONE]')
  expect(text).not.toContain('finish_reason":"stop"')
})

it('sends the headers when there is no piece for long, and has an end', async () => {
  const client = await served(endless, { firstPieceMs: 1, deadlineMs: 50 })
  const response = await post(client, { stream: true })
  expect(response.status).toBe(200)
  expect(await response.text()).toContain('"code":"timeout"')
})

/** Says nothing, until it is stopped. */
const endless: Run = (_text, { signal }) =>
  new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

it('stops at once when its client leaves, whenever that is', async () => {
  const property = asyncProperty(integer({ min: 0, max: 6 }), async (count) => {
    const stopped = Promise.withResolvers<unknown>()
    const ended = Promise.withResolvers<InferenceRequestEvent>()
    const client = await served(
      async (_text, { onText, signal }) => {
        signal?.addEventListener('abort', () => stopped.resolve(signal.reason), { once: true })
        for (;;) {
          signal?.throwIfAborted()
          onText?.('and ')
          await new Promise(setImmediate)
        }
      },
      { onRequest: ended.resolve },
    )
    const response = await post(client, { stream: true })
    const reader = response.body?.getReader()
    for (let read = 0; read < count; read += 1) await reader?.read()
    const reason = new Error('gone')
    await reader?.cancel(reason)
    expect(await stopped.promise).toBe(reason)
    expect(await ended.promise).toMatchObject({ status: 200, outcome: 'cancelled' })
  })
  await assert(property, { numRuns: 20 })
})

it('keeps only so much for a client that does not read, then stops', async () => {
  const stopped = Promise.withResolvers<unknown>()
  const client = await served(
    (_text, { onText, signal }) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          stopped.resolve(signal.reason)
          reject(signal.reason)
        })
        for (let piece = 0; piece < 11; piece += 1) onText?.('0123456789')
      }),
    { maxUnreadCharacters: 100 },
  )
  const response = await post(client, { stream: true })
  await stopped.promise
  const text = await response.text()
  expect(text.match(/0123456789/g)).toHaveLength(10)
  expect(text).toContain('what was written was not read')
})
