import { fixtureMedia, tinyGgufLlama } from '@x/fixtures'
import { decodeParams, decodeReceipt } from '@x/infer-core'
import type { InferenceRequestEvent } from '@x/inference-server'
import OpenAI, { APIUserAbortError, BadRequestError, NotFoundError } from 'openai'
import { expect, it } from 'vitest'

import { openGguf, openModels, only, receiptAt, start } from './support.ts'

const chat = (content: string): { role: 'user'; content: string }[] => [{ role: 'user', content }]

/** Says nothing of tools but how many there are, and what they gave. */
const TEMPLATE =
  `{{ bos_token }}{% for tool in tools or [] %}two {% endfor %}{% for m in messages %}{{ m['content'] }} ` +
  `{% for call in m['tool_calls'] or [] %}one {% endfor %}{% endfor %}{% if add_generation_prompt %}and{% endif %}`

const TOOL = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: {} } },
} as const

// One server for all, as most of the time is taken by its start.
it('gives the openai client chats and completions, whole and streamed, until it leaves', async () => {
  const [gpt, llava] = await openModels('tiny-gpt', 'tiny-llava')
  if (!gpt || !llava) throw new Error('two are wanted')
  const gguf = await openGguf(tinyGgufLlama({ template: TEMPLATE }))
  const cancelled = Promise.withResolvers<InferenceRequestEvent>()
  const server = await start(
    [
      { model: gpt, name: 'gpt' },
      { model: gguf, name: 'gguf', task: 'text-generation' },
      { model: llava, name: 'llava', task: 'image-text-to-text' },
    ],
    {
      onRequest(event) {
        if (event.outcome === 'cancelled') cancelled.resolve(event)
      },
    },
  )
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })

  for (const model of ['gpt', 'gguf']) {
    const asked = { model, messages: chat('the quick what'), max_tokens: 3 }
    const whole = await client.chat.completions.create(asked)
    const { message, finish_reason: reason } = only(whole.choices)
    expect(whole.usage?.prompt_tokens).toBeGreaterThan(0)
    const stream = client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } })
    const pieces: string[] = []
    stream.on('content', (piece) => pieces.push(piece))
    const last = await stream.finalChatCompletion()
    expect(pieces.join('')).toBe(message.content)
    expect(only(last.choices)).toMatchObject({ finish_reason: reason, message: { content: message.content } })
    expect(last.usage).toEqual(whole.usage)
  }
  const said = await client.chat.completions.create({ model: gpt.cid.toString(), messages: chat('the quick') })
  expect(only(said.choices)).toMatchObject({
    finish_reason: 'stop',
    message: { content: ' brown fox jumps over lazy dog' },
  })

  const create = client.completions.create.bind(client.completions)
  const two = await create({ model: 'gpt', prompt: ['the quick', 'a brown'], max_tokens: 2 })
  expect(two.choices.map(({ text, finish_reason: reason }) => [text, reason])).toEqual([
    [' brown fox', 'length'],
    [' fox jumps', 'length'],
  ])
  const likely = { model: 'gpt', messages: chat('the quick'), logprobs: true, top_logprobs: 2, stop: 'ver' }
  const ofWhole = only((await client.chat.completions.create(likely)).choices)
  expect(ofWhole.logprobs?.content?.map(({ token }) => token)).toEqual([' brown', ' fox', ' jumps', ' o'])
  const ofStream = only((await client.chat.completions.stream(likely).finalChatCompletion()).choices)
  expect(ofStream.logprobs).toEqual(ofWhole.logprobs)
  expect(ofWhole.logprobs?.content?.every(({ top_logprobs: top }) => top.length === 2)).toBe(true)
  const ofText = only((await create({ model: 'gpt', prompt: 'the quick', max_tokens: 2, logprobs: 1 })).choices)
  expect(ofText.logprobs).toMatchObject({ tokens: [' brown', ' fox'], text_offset: [0, 6] })
  const ofGguf = only((await client.chat.completions.create({ ...likely, model: 'gguf', max_tokens: 3 })).choices)
  expect(ofGguf.logprobs?.content?.map(({ token }) => token).join('')).toBe(ofGguf.message.content)
  const stopped = await create({ model: 'gpt', prompt: 'the quick', stop: ' jumps' })
  expect(only(stopped.choices)).toMatchObject({ text: ' brown fox', finish_reason: 'stop' })
  const drawn = await create({ model: 'gpt', prompt: 'the quick', temperature: 2 }).withResponse()
  const { bytes, blocks } = await receiptAt(server, drawn.response.headers.get('x-ipfs-accelerate-receipt'))
  const { params } = decodeReceipt(bytes)
  const given = decodeParams(blocks.find(({ cid }) => cid.equals(params))?.bytes ?? new Uint8Array())
  const again = await create({ model: 'gpt', prompt: 'the quick', temperature: 2, seed: Number(given['seed']) })
  expect(again.choices).toEqual(drawn.data.choices)

  const image = Buffer.from(fixtureMedia()['green.png']).toString('base64')
  const seen = await client.chat.completions.create({
    model: 'llava',
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'what colour is this?' },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${image}` } },
        ],
      },
    ],
  })
  expect(only(seen.choices).message.content).toContain('green')

  const call = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } } as const
  const messages = [
    ...chat('the quick'),
    { role: 'assistant' as const, content: null, tool_calls: [call] },
    { role: 'tool' as const, tool_call_id: 'call_1', content: 'llama' },
  ]
  const tooled = { model: 'gguf', messages, max_tokens: 2 }
  const used = async (tools: (typeof TOOL)[]): Promise<number> =>
    (await client.chat.completions.create({ ...tooled, tools })).usage?.prompt_tokens ?? 0
  expect(await used([TOOL])).toBeGreaterThan(await used([]))

  const refused = (body: object): Promise<unknown> =>
    client.chat.completions.create({ model: 'gpt', messages: chat('the quick'), ...body })
  await expect(refused({ model: 'gpt-4o' })).rejects.toThrow(NotFoundError)
  const formatted = refused({ response_format: { type: 'json_object' } })
  await expect(formatted).rejects.toThrow(BadRequestError)
  await expect(formatted).rejects.toMatchObject({ param: 'response_format' })
  await expect(refused({ tools: [TOOL] })).rejects.toThrow(BadRequestError)
  const long = refused({ messages: chat('the quick '.repeat(600)), stream: true })
  await expect(long).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' })
  await expect(
    client.chat.completions.create({ model: 'gpt', messages: chat('a') }, { signal: AbortSignal.abort() }),
  ).rejects.toThrow(APIUserAbortError)

  const endless = { model: 'gguf', messages: chat('bytes'), max_tokens: 400, stream: true } as const
  const stream = await client.chat.completions.create(endless)
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
  stream.controller.abort()
  expect(await cancelled.promise).toMatchObject({ status: 200, model: gguf.cid.toString() })
  const next = await client.chat.completions.create({ ...endless, max_tokens: 2, stream: false })
  expect(only(next.choices).finish_reason).toBe('length')
})
