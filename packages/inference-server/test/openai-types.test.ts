import type OpenAI from 'openai'
import { expect, it } from 'vitest'

import type { Generated } from '../src/generate.ts'
import { toCompletion, type ChatChunk, type ChatCompletion, type Envelope } from '../src/openai/chat-answer.ts'
import { toTextCompletion, type TextCompletion } from '../src/openai/completion-answer.ts'
import { cidFrom } from './support.ts'

/** Where somebody counted: else it is not said why a text ended, for which OpenAI's types have no word. */
type Counted<T extends { choices: { finish_reason: unknown }[] }> = Omit<T, 'choices'> & {
  choices: (Omit<T['choices'][number], 'finish_reason'> & {
    finish_reason: NonNullable<T['choices'][number]['finish_reason']>
  })[]
}

// That these compile is the test: what is answered has all that the client's own types promise.
const asChat = (answer: Counted<ChatCompletion>): OpenAI.ChatCompletion => answer
const asChunk = (answer: ChatChunk): OpenAI.ChatCompletionChunk => answer
const asText = (answer: Counted<Omit<TextCompletion, 'usage'>>): OpenAI.Completion => answer

const isCounted = <T extends { choices: { finish_reason: unknown }[] }>(answer: T): answer is T & Counted<T> =>
  answer.choices.every((choice) => choice.finish_reason !== null)

it('gives what the types of the openai client promise', async () => {
  const envelope: Envelope = { id: 'a', created: 1, model: 'm', system_fingerprint: 'c' }
  const answer: Generated['answer'] = {
    from: 'computed',
    receiptCid: await cidFrom('receipt'),
    blocks: [],
    tokens: { input: 1, cut: 0, output: 1, ended: 'model' },
  }
  const logprobs = [{ token: 'a', id: 1, logprob: -1, top: [] }]
  const chat = toCompletion(envelope, [{ text: 'a', logprobs, answer }], new Set())
  const text = toTextCompletion(envelope, [{ text: 'a', logprobs, answer }], { ofEachPrompt: 1, echoed: undefined })
  if (!isCounted(chat) || !isCounted(text)) throw new Error('it was counted')
  expect(asChat(chat).choices[0]?.message.content).toBe('a')
  expect(asText(text).choices[0]?.finish_reason).toBe('stop')
  expect(asChunk({ ...envelope, object: 'chat.completion.chunk', choices: [] }).choices).toEqual([])
})
