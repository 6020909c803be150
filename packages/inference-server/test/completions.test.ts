import { anything, assert, asyncProperty, constantFrom, jsonValue, record } from 'fast-check'
import { expect, it } from 'vitest'

import { clientOf, jsonOf, modelOf, portsOf, type Client, type Run } from './support.ts'

const PATH = '/v1/completions'

/** Says its prompt backwards, as a text, in two pieces. */
const backwards: Run = (text, { onText }) => {
  const said = Array.from(text).toReversed().join('')
  onText?.(said.slice(0, 1))
  onText?.(said.slice(1))
  return { output: { generated_text: said }, tokens: { input: text.length, cut: 0, output: 2, ended: 'length' } }
}

async function served(run: Run = backwards, options: Parameters<typeof clientOf>[1] = {}): Promise<Client> {
  return clientOf(portsOf([await modelOf('m', 'text-generation')], run), options)
}

/** With the id and the time of an answer as ID and 1. */
const steady = (text: string): string =>
  text.replaceAll(/cmpl-[0-9a-f-]{36}/g, 'ID').replaceAll(/"created":\d{10},/g, '"created":1,')

it('goes on with a prompt, as OpenAI does', async () => {
  const cid = (await modelOf('m', 'text-generation')).cid.toString()
  const response = await (await served()).post(PATH, { prompt: 'abc' })
  expect(response.headers.get('x-ipfs-accelerate-receipt')).toMatch(/^bafy/)
  expect(steady(await response.text())).toBe(
    `{"id":"ID","object":"text_completion","created":1,"model":"m","system_fingerprint":"${cid}",` +
      '"choices":[{"text":"cba","index":0,"logprobs":null,"finish_reason":"length"}],' +
      '"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}',
  )
})

const choice = (piece: string, reason = 'null'): string =>
  `{"text":"${piece}","index":0,"logprobs":null,"finish_reason":${reason}}`

it('streams the same object, with what was used where that is asked', async () => {
  const cid = (await modelOf('m', 'text-generation')).cid.toString()
  for (const includeUsage of [false, true]) {
    const body = { prompt: 'abc', stream: true, stream_options: { include_usage: includeUsage } }
    const text = steady(await (await (await served()).post(PATH, body)).text())
    const usage = includeUsage ? ',"usage":null' : ''
    const frame = (choices: string, more: string): string =>
      `data: {"id":"ID","object":"text_completion","created":1,"model":"m","system_fingerprint":"${cid}","choices":[${choices}]${more}}\n\n`
    const receipt = /"receipt":"(\w+)"/.exec(text)?.[1]
    const rests = `,"ipfs_accelerate":{"model":"${cid}","receipt":"${receipt}","from":"computed"}`
    expect(text).toBe(
      frame(choice('cba'), usage) +
        frame(choice('', '"length"'), usage + rests) +
        (includeUsage ? frame('', ',"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}') : '') +
        'data: [DONE]\n\n',
    )
  }
})

it('asks for 16 tokens where nothing is said, without the prompt, and echoes it where that is asked', async () => {
  const asked: unknown[] = []
  const client = await served((text, options, ...more) => {
    asked.push(options.options)
    return backwards(text, options, ...more)
  })
  await client.post(PATH, { prompt: 'abc' })
  const echoed = await client.post(PATH, { prompt: 'abc', echo: true, max_tokens: 3, stop: 'x' })
  expect(await jsonOf(echoed)).toMatchObject({ choices: [{ text: 'abccba' }] })
  expect(asked).toEqual([
    { max_new_tokens: 16, return_full_text: false },
    { max_new_tokens: 3, return_full_text: false, stop: ['x'] },
  ])
  const streamed = await (await client.post(PATH, { prompt: 'abc', echo: true, stream: true })).text()
  expect([...streamed.matchAll(/"text":"(\w+)"/g)].map(([, text]) => text)).toEqual(['abc', 'cba'])
})

it('goes on with several prompts, in their order, and several times with each', async () => {
  const client = await served()
  const body = { prompt: ['ab', 'cd'], n: 2, temperature: 1 }
  const whole = await client.post(PATH, body)
  expect(await jsonOf(whole)).toMatchObject({
    choices: ['ba', 'ba', 'dc', 'dc'].map((text, index) => ({ text, index })),
    usage: { prompt_tokens: 4, completion_tokens: 8, total_tokens: 12 },
  })
  const list = await jsonOf(await client.get(`/receipts/${whole.headers.get('x-ipfs-accelerate-receipt')}`))
  expect(list['receipts']).toHaveLength(4)
  const streamed = await (await client.post(PATH, { ...body, stream: true })).text()
  for (const [index, text] of ['ba', 'ba', 'dc', 'dc'].entries()) {
    expect(streamed).toContain(`{"text":"${text}","index":${index},`)
  }
})

it('refuses token ids, no prompt, too many, and what is not done', async () => {
  const client = await served(backwards, { maxPrompts: 2 })
  for (const prompt of [undefined, null, '', [], [''], [1, 2], [[1]], 7, {}, ['a', 'b', 'c']]) {
    const response = await client.post(PATH, { prompt })
    expect([response.status, await jsonOf(response)]).toMatchObject([400, { error: { param: 'prompt' } }])
  }
  for (const [param, value] of Object.entries({ logprobs: 6, suffix: 'x', best_of: 2, echo: 'yes', max_tokens: 0 })) {
    const response = await client.post(PATH, { prompt: 'a', [param]: value })
    expect([response.status, await jsonOf(response)]).toMatchObject([400, { error: { param } }])
  }
  const neutral = { logprobs: null, suffix: null, best_of: 1, n: 1, echo: false, user: 'u' }
  expect((await client.post(PATH, { prompt: 'a', ...neutral })).status).toBe(200)
})

it('says that part of a prompt would not be read', async () => {
  const client = await served(() => ({
    output: { generated_text: 'a' },
    tokens: { input: 4, cut: 2, output: 1, ended: 'model' },
  }))
  const response = await client.post(PATH, { prompt: 'abcdef' })
  expect([response.status, await jsonOf(response)]).toMatchObject([400, { error: { code: 'context_length_exceeded' } }])
})

it('is never a failure of the server, whatever JSON it is', async () => {
  const client = await served(() => ({ output: { generated_text: 'a' } }))
  const fields = {
    prompt: jsonValue(),
    messages: jsonValue(),
    stop: jsonValue(),
    stream: constantFrom(true, false, null, 1),
    n: jsonValue(),
    temperature: jsonValue(),
    tools: jsonValue(),
    response_format: jsonValue(),
    logit_bias: anything(),
  }
  const body = record(fields, { requiredKeys: [] })
  const property = asyncProperty(
    constantFrom(PATH, '/v1/chat/completions'),
    body,
    jsonValue(),
    async (path, given, content) => {
      for (const messages of [given.messages, [{ role: 'user', content }], [content]]) {
        const response = await client.post(path, JSON.stringify({ ...given, messages }))
        expect([200, 400]).toContain(response.status)
        await response.text()
      }
    },
  )
  await assert(property, { numRuns: 200 })
})
