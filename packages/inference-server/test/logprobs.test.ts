import type { OutputValue } from '@x/infer-core'
import { expect, it } from 'vitest'

import { clientOf, jsonOf, modelOf, portsOf, type Client } from './support.ts'

const CHAT = '/v1/chat/completions'
const TEXT = '/v1/completions'

const LIKELY = [
  { token: 'a', id: 1, logprob: -0.5, top: [] },
  { token: '', id: 2, logprob: -1, bytes: [0xe2, 0x82], top: [] },
  { token: '€', id: 3, logprob: -2, bytes: [0xac], top: [] },
  { token: '🐐', id: 4, logprob: -0.25, top: [] },
  { token: 'b', id: 5, logprob: -0.125, top: [] },
]

const TEXT_OF_IT = 'a€🐐b'

const OTHERS = [
  { token: 'y', id: 8, logprob: -0.25 },
  { token: 'z', id: 9, logprob: -3 },
  { token: 'z', id: 10, logprob: -4 },
]

/** A model that says the same each time, in two pieces, with as many others as are asked for. */
async function served(asked: unknown[] = []): Promise<Client> {
  const model = await modelOf('m', 'text-generation')
  return clientOf(
    portsOf([model], (_text, { options = {}, onText }) => {
      asked.push(options['top_logprobs'])
      onText?.('a')
      const top = OTHERS.slice(0, Number(options['top_logprobs']))
      const output: OutputValue = { generated_text: TEXT_OF_IT, logprobs: LIKELY.map((each) => ({ ...each, top })) }
      return { output, tokens: { input: 1, cut: 0, output: 6, ended: 'model' } }
    }),
  )
}

const chat = { messages: [{ role: 'user', content: 'hi' }] }

/** The log probabilities in the events of a stream, in their order, and the reason with each. */
async function streamedOf(response: Response): Promise<{ logprobs: unknown; finish_reason: unknown }[]> {
  const events = [...(await response.text()).matchAll(/^data: (\{.*\})$/gm)].map(([, data = '']) => JSON.parse(data))
  return events.flatMap(({ choices }) => choices)
}

const bytes = (text: string): number[] => [...Buffer.from(text)]

const others = OTHERS.slice(0, 2).map(({ token, logprob }) => ({ token, logprob, bytes: bytes(token) }))

it('gives those of a chat, whole and in the last chunk of a stream, each once', async () => {
  const asked: unknown[] = []
  const client = await served(asked)
  const wanted = {
    content: LIKELY.map(({ token, logprob, bytes: own = bytes(token) }) => ({
      token,
      logprob,
      bytes: own,
      top_logprobs: others,
    })),
    refusal: null,
  }
  const body = { ...chat, logprobs: true, top_logprobs: 2 }
  expect(await jsonOf(await client.post(CHAT, body))).toMatchObject({ choices: [{ logprobs: wanted }] })
  // The bytes of all make the text.
  const all = wanted.content.flatMap(({ bytes: own }) => own)
  expect(Buffer.from(all).toString()).toBe(TEXT_OF_IT)
  const choices = await streamedOf(await client.post(CHAT, { ...body, stream: true }))
  expect(choices.at(-1)).toMatchObject({ logprobs: wanted, finish_reason: 'stop' })
  expect(choices.slice(0, -1).every(({ logprobs }) => logprobs === null)).toBe(true)
  const none = await jsonOf(await client.post(CHAT, { ...chat, logprobs: true }))
  expect(none).toMatchObject({ choices: [{ logprobs: { content: LIKELY.map(() => ({ top_logprobs: [] })) } }] })
  for (const more of [{}, { logprobs: false }, { logprobs: null, top_logprobs: 0 }]) {
    await client.post(CHAT, { ...chat, ...more })
  }
  expect(asked).toEqual([2, 2, 0, undefined, undefined, undefined])
})

it('gives those of a completion, whole and in a stream, with where each token begins', async () => {
  const client = await served()
  const wanted = {
    tokens: ['a', '', '€', '🐐', 'b'],
    token_logprobs: [-0.5, -1, -2, -0.25, -0.125],
    top_logprobs: LIKELY.map(({ token, logprob }) => ({ y: -0.25, z: -3, [token]: logprob })),
    text_offset: [0, 1, 1, 2, 3],
  }
  const whole = await jsonOf(await client.post(TEXT, { prompt: 'p', logprobs: 3 }))
  expect(whole['choices']).toMatchObject([{ logprobs: wanted }])
  const choices = await streamedOf(await client.post(TEXT, { prompt: 'p', logprobs: 3, stream: true }))
  expect(choices.at(-1)).toMatchObject({ logprobs: wanted, finish_reason: 'stop' })
  expect(choices.filter(({ logprobs }) => logprobs !== null)).toHaveLength(1)
  const own = await jsonOf(await client.post(TEXT, { prompt: 'p', logprobs: 0 }))
  const ownOnly = LIKELY.map(({ token, logprob }) => ({ [token]: logprob }))
  expect(own['choices']).toMatchObject([{ logprobs: { top_logprobs: ownOnly } }])
})

it('refuses what makes no sense, what is not done, and models that give none', async () => {
  const client = await served()
  const silent = clientOf(portsOf([await modelOf('m', 'text-generation')], () => ({ output: { generated_text: 'a' } })))
  for (const [each, path, body, param] of [
    [client, CHAT, { ...chat, top_logprobs: 2 }, 'top_logprobs'],
    [client, CHAT, { ...chat, logprobs: false, top_logprobs: 2 }, 'top_logprobs'],
    [client, CHAT, { ...chat, logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    [client, TEXT, { prompt: 'p', logprobs: 6 }, 'logprobs'],
    [client, TEXT, { prompt: 'p', logprobs: 0, echo: true }, 'logprobs'],
    [silent, CHAT, { ...chat, logprobs: true }, 'logprobs'],
    [silent, TEXT, { prompt: 'p', logprobs: 0, stream: true }, 'logprobs'],
  ] as const) {
    const response = await each.post(path, body)
    expect([response.status, await jsonOf(response)]).toMatchObject([400, { error: { param } }])
  }
})
