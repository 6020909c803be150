import { createCache } from '@x/cache'
import { tinyGgufLlama } from '@x/fixtures'
import type { ChatTool, ToolChat } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import { chatPrompt } from '../src/gguf/chat-prompt.ts'
import { createEngine, createRunner, runTask, verifyReceipt } from '../src/index.ts'
import { readInput } from '../src/read-input.ts'
import { holdFiles, llamaOrSkip, only } from './gguf-support.ts'
import { hold } from './support.ts'

const TEMPLATE =
  "{% for m in messages %}{{ m['content'] }} {% for c in m['tool_calls'] or [] %}{{ c['function']['arguments']['word'] }} {% endfor %}{% endfor %}" +
  "{% for t in tools or [] %}{{ t['function']['name'] }} {% endfor %}"

/** A model that writes what goes on from the last word of its prompt. */
async function openGpt(template: unknown): Promise<OpenedModel> {
  const { open } = await hold('tiny-gpt', (files) => {
    const config: unknown = JSON.parse(new TextDecoder().decode(files['tokenizer_config.json']))
    const changed = { ...Object(config), chat_template: template }
    files['tokenizer_config.json'] = new TextEncoder().encode(JSON.stringify(changed))
  })
  return open()
}

const toolOf = (name: string): ChatTool => ({ type: 'function', function: { name, parameters: { b: 1, a: 2 } } })
const asked = { role: 'user', content: 'hello' }
const called = {
  role: 'assistant',
  content: '',
  tool_calls: [{ id: 'c1', type: 'function', function: { name: 'say', arguments: '{"word":"the quick"}' } }],
} as const
const withTools: ToolChat = { messages: [asked], tools: [toolOf('brown')] }

describe('a template is given tools and calls of them', () => {
  it('with their arguments as values, and the answer is behind the messages as they were', async () => {
    const model = await openGpt(TEMPLATE)
    const inputs = [withTools, [asked, called]]
    const results = await runTask('text-generation', model, inputs, { options: { max_new_tokens: 2 } })
    expect(results.map(({ output }) => output.generated_text)).toEqual([
      [asked, { role: 'assistant', content: ' fox jumps' }],
      [asked, called, { role: 'assistant', content: ' brown fox' }],
    ])
  })

  it('in an engine as here, out of a cache, and where the receipt is verified', async () => {
    const model = await openGpt({ default: '{{ messages }}', tool_use: TEMPLATE })
    const engine = createEngine({ cache: createCache() })
    const runner = createRunner()
    onTestFinished(async () => {
      await engine.close({ drain: false })
      await runner.close()
    })
    const first = await engine.run('text-generation', model, withTools)
    const second = await engine.run('text-generation', model, withTools)
    const other = await engine.run('text-generation', model, { messages: [asked], tools: [toolOf('jumps')] })
    expect([first.from, second.from, other.from]).toEqual(['computed', 'memory', 'computed'])
    const { receipt, blocks } = second
    expect(await verifyReceipt(runner, receipt, model, { blocks })).toMatchObject({ verdict: 'same' })
  })

  it('of a GGUF', async (context: TestContext) => {
    llamaOrSkip(context)
    const { open } = await holdFiles({ 'model.gguf': tinyGgufLlama({ template: TEMPLATE }) })
    const model = await open()
    const ask = async (input: ToolChat | string): Promise<unknown> => {
      const options = { max_new_tokens: 4, return_full_text: false }
      const { output, tokens } = only(await runTask('text-generation', model, [input], { options }))
      const text = Array.isArray(output.generated_text) ? output.generated_text.at(-1)?.content : output.generated_text
      return { text, read: tokens?.input }
    }
    const chat = { messages: [{ role: 'user', content: 'under' }], tools: [toolOf('goats')] }
    const { text, read } = Object(await ask(chat))
    expect(text).not.toBe('')
    // The text has what its beginning takes, the template its last space.
    expect(read).toBeGreaterThan(2)
    const without = Object(await ask({ messages: chat.messages }))
    expect(without.read).toBeLessThan(Number(read))
    const prompt = chatPrompt(
      "{{ tools[0] | tojson }} {{ messages[0]['content'] }}",
      only([await readInput('text-generation', chat, undefined)].filter((each) => each.kind === 'chat')),
      { bos: null, eos: null },
      'it',
    )
    expect(prompt.replaceAll(' ', '')).toBe(`${JSON.stringify(toolOf('goats'))}under`)
  })
})

describe('what a template would leave out is refused', () => {
  it.each([
    ['tools', withTools],
    ['calls of tools', [asked, called]],
  ])('%s', async (what, input) => {
    const template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    const running = runTask('text-generation', await openGpt(template), [input])
    await expect(running).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(`takes no ${what}`),
    })
    const chat = only([await readInput('text-generation', input, undefined)].filter(({ kind }) => kind === 'chat'))
    if (chat.kind !== 'chat') throw new TypeError('it is a chat')
    const ofGguf = (): string => chatPrompt(template, chat, { bos: null, eos: null }, 'it')
    expect(ofGguf).toThrowError(`it takes no ${what}`)
  })
})

it('without tools it is the same chat', async () => {
  const plain = await readInput('text-generation', [asked], undefined)
  for (const tools of [undefined, []]) {
    expect(await readInput('text-generation', { messages: [asked], tools }, undefined)).toEqual(plain)
  }
  for (const bad of [{ messages: [] }, { messages: [asked], other: 1 }, { messages: [{ role: 'user' }] }]) {
    await expect(readInput('text-generation', bad, undefined)).rejects.toThrowError('takes text or chat')
  }
})

it('counts what is deep in tools and calls before it is kept', async () => {
  let bytes = 0
  const tools = [{ type: 'function', function: { name: 'a', parameters: { a: { b: { c: 'x'.repeat(10_000) } } } } }]
  const deep = { id: 'c', type: 'function', function: { name: 'a', arguments: JSON.stringify('y'.repeat(5000)) } }
  const messages = [{ role: 'assistant', content: '', tool_calls: [deep] }]
  await readInput('text-generation', { messages, tools }, undefined, undefined, (by) => (bytes += by))
  expect(bytes).toBeGreaterThan(15_000)
})
