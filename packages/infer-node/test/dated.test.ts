import { createCache } from '@x/cache'
import { tinyGgufLlama, type Files } from '@x/fixtures'
import { afterEach, expect, it, onTestFinished, vi } from 'vitest'

import { createRunner, runTask, verifyReceipt, type TaskResult } from '../src/index.ts'
import { holdFiles, llamaOrSkip, only } from './gguf-support.ts'
import { hold } from './support.ts'

afterEach(() => void vi.useRealTimers())

const CHAT = [{ role: 'user', content: 'jumps over' }]

/** A model whose template writes the day, as those of Llama 3 do. */
async function datedModel() {
  const { open } = await hold('tiny-gpt', (files: Files) => {
    const name = 'tokenizer_config.json'
    const config = JSON.parse(new TextDecoder().decode(files[name]))
    config.chat_template = `{% if strftime_now('%Y') == '2026' %}the quick{% else %}jumps over{% endif %}`
    files[name] = new TextEncoder().encode(JSON.stringify(config))
  })
  return open()
}

const inYear = (year: number): void => {
  vi.useFakeTimers({ toFake: ['Date'] })
  vi.setSystemTime(new Date(year, 5, 1))
}

it('does not keep what a model says to a chat whose template writes the day', async () => {
  const model = await datedModel()
  const warnings: string[] = []
  const runner = createRunner({ cache: createCache(), onWarning: (message) => warnings.push(message) })
  onTestFinished(() => runner.close())
  const run = async (input: typeof CHAT | string): Promise<TaskResult> => {
    for await (const result of runner.run('text-generation', model, [input])) return result
    throw new Error('there is no result')
  }
  inYear(2026)
  const first = await run(CHAT)
  inYear(2027)
  const later = await run(CHAT)
  expect([first.from, later.from]).toEqual(['computed', 'computed'])
  expect(later.receipt.output).not.toEqual(first.receipt.output)
  expect(warnings).toEqual([`results of chats with ${model.cid} are not kept: its template writes the day`])
  // Of another day it cannot be told whether a receipt is true.
  expect(await verifyReceipt(runner, first.receipt, model, { blocks: first.blocks })).toMatchObject({
    verdict: 'undetermined',
  })
  expect(await verifyReceipt(runner, later.receipt, model, { blocks: later.blocks })).toMatchObject({ verdict: 'same' })
  // A text goes through no template.
  expect((await run('the quick')).from).toBe('computed')
  expect((await run('the quick')).from).toBe('memory')
})

it('of another day it cannot be told whether a receipt is true, of a GGUF too', async (context) => {
  llamaOrSkip(context)
  const template = `{% if strftime_now('%Y') == '2026' %}goats walks{% else %}near tree{% endif %}`
  const { open } = await holdFiles({ 'model.gguf': tinyGgufLlama({ template }) })
  const model = await open()
  const runner = createRunner()
  onTestFinished(() => runner.close())
  const verdict = async ({ receipt, blocks }: TaskResult): Promise<string> =>
    (await verifyReceipt(runner, receipt, model, { blocks })).verdict
  inYear(2026)
  const options = { max_new_tokens: 8 }
  const chat = only(await runTask('text-generation', model, [CHAT], { options }))
  const text = only(await runTask('text-generation', model, ['goats walks'], { options }))
  expect(await verdict(chat)).toBe('same')
  inYear(2027)
  expect(await verdict(chat)).toBe('undetermined')
  // A text goes through no template.
  expect(await verdict({ ...text, receipt: { ...text.receipt, output: text.receipt.input } })).toBe('other')
})
