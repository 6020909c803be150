import { fixtureMedia, ggufFixture, type Files } from '@x/fixtures'
import type { GivenOptions } from '@x/infer-core'
import { createStopText } from '@x/pipelines/parts'
import { array, assert, constantFrom, nat, property, string } from 'fast-check'
import { describe, expect, it, type TestContext } from 'vitest'

import { createRunner, runTask, verifyReceipt } from '../src/index.ts'
import { holdFiles, holdGguf, llamaOrSkip, only } from './gguf-support.ts'
import { hold } from './support.ts'

/** What is given of a text that comes in pieces. */
function piecesOf(stops: readonly string[], pieces: readonly string[]): string[] {
  const given: string[] = []
  const stopText = createStopText(stops, (piece) => given.push(piece))
  for (const piece of pieces) stopText.give(piece)
  stopText.end()
  return given
}

/** Character by character: what is there when the first stop text is complete, without it. */
function endedBefore(stops: readonly string[], text: string): string {
  for (let end = 1; end <= text.length; end++) {
    const complete = stops.filter((stop) => text.slice(0, end).endsWith(stop)).map(({ length }) => length)
    if (complete.length > 0) return text.slice(0, end - Math.max(...complete))
  }
  return text
}

const few = string({ unit: constantFrom('a', 'b', '\n', '🐐'), maxLength: 24 })
const stopTexts = array(string({ unit: constantFrom('a', 'b', '\n', '🐐'), minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 4,
})

describe('a text ends before the first stop text', () => {
  it('in whatever pieces it comes', () => {
    assert(
      property(few, stopTexts, array(nat(24)), (text, stops, cuts) => {
        const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).toSorted((a, b) => a - b), text.length]
        const pieces = at.slice(1).map((end, index) => text.slice(at[index], end))
        const given = piecesOf(stops, pieces)
        expect(given.join('')).toBe(endedBefore(stops, text))
        expect(given).not.toContain('')
      }),
      { numRuns: 2000 },
    )
  })

  it('of which nothing is given that might be its beginning', () => {
    const given: string[] = []
    const stopText = createStopText(['\nUser:'], (piece) => given.push(piece))
    for (const piece of ['hello\n', 'Us', 'ual\nUser', ':', ' more']) stopText.give(piece)
    expect(given).toEqual(['hello', '\nUsual'])
    expect(stopText.isStopped).toBe(true)
    // Nor is it lost where nothing comes of it.
    expect(piecesOf(['\nUser:'], ['hello\n'])).toEqual(['hello', '\n'])
  })
})

describe('a model stops there', () => {
  const prompt = 'the quick'
  const stopped = { input: 2, cut: 0, output: 3, ended: 'stop' }

  it('writes no more, and its receipt says why', async () => {
    const model = await (await hold('tiny-gpt')).open()
    const runner = createRunner()
    for (const return_full_text of [true, false]) {
      const pieces: string[] = []
      const options = { stop: ['ver', 'jumps'], return_full_text }
      const onText = (piece: string): unknown => pieces.push(piece)
      for await (const result of runner.run('text-generation', model, [prompt], { options, onText })) {
        expect(pieces.join('')).toBe(' brown fox ')
        expect(result.output.generated_text).toBe(return_full_text ? 'the quick brown fox ' : ' brown fox ')
        expect(result.tokens).toEqual(stopped)
        expect(result.params).toMatchObject({ stop: ['ver', 'jumps'] })
        const { blocks } = result
        expect(await verifyReceipt(runner, result.receipt, model, { blocks })).toMatchObject({ verdict: 'same' })
      }
    }
    await runner.close()
  })

  it('but not at a text that does not come', async () => {
    const model = await (await hold('tiny-gpt')).open()
    const run = async (stop: string[] | undefined): Promise<unknown> => {
      const { output, tokens } = only(await runTask('text-generation', model, [prompt], { options: { stop } }))
      return { output, tokens }
    }
    expect(await run(['cat', 'dogs'])).toEqual(await run(undefined))
  })

  it('and what is there is as without one, where the tokens change how the prompt is written', async () => {
    const model = await (await hold('tiny-gpt')).open()
    const run = async (options: GivenOptions): Promise<unknown> =>
      only(await runTask('text-generation', model, ["the '"], { options })).output.generated_text
    expect(await run({})).toBe("the'jumps over lazy dog")
    expect(await run({ stop: ['cat'] })).toBe("the'jumps over lazy dog")
    expect(await run({ stop: ['over'] })).toBe("the'jumps ")
    const apart = { return_full_text: false }
    expect(await run({ ...apart, stop: ['cat'] })).toBe(await run(apart))
    expect(await run({ ...apart, stop: ['over'] })).toBe("'jumps ")
  })

  it('in a chat', async () => {
    const model = await (await hold('tiny-gpt')).open()
    const chat = [{ role: 'user', content: prompt }]
    const { output, tokens } = only(await runTask('text-generation', model, [chat], { options: { stop: ['fox'] } }))
    expect(output.generated_text).toEqual([...chat, { role: 'assistant', content: ' brown ' }])
    expect(tokens).toMatchObject({ ended: 'stop' })
  })

  it('of an image', async () => {
    const model = await (await hold('tiny-llava')).open()
    const input = { text: 'what colour is this?', image: fixtureMedia()['green.png'] }
    const { output, tokens } = only(await runTask('image-text-to-text', model, [input], { options: { stop: ['een'] } }))
    expect(output.generated_text.trim()).toBe('gr')
    expect(tokens).toMatchObject({ output: 1, ended: 'stop' })
  })

  it('of a GGUF', async (context: TestContext) => {
    llamaOrSkip(context)
    const model = await (await holdGguf('tiny-gguf-llama')).open()
    const pieces: string[] = []
    const { output, tokens } = only(
      await runTask('text-generation', model, ['goats walks'], {
        options: { stop: ['sleep', 'quiet'], return_full_text: false },
        onText: (piece) => pieces.push(piece),
      }),
    )
    expect(output.generated_text).toBe(' hills llama ')
    expect(pieces.join('')).toBe(output.generated_text)
    expect(tokens).toEqual({ input: 3, cut: 0, output: 3, ended: 'stop' })
  })
})

/** Makes a special token of a word that the model writes. */
const withSpecial =
  (content: string) =>
  (files: Files): void => {
    const { added_tokens: added, ...tokenizer } = JSON.parse(Buffer.from(files['tokenizer.json'] ?? []).toString())
    const id: unknown = tokenizer.model.vocab[content]
    const token = { id, content, special: true, normalized: false, single_word: false, lstrip: false, rstrip: false }
    const changed = JSON.stringify({ ...tokenizer, added_tokens: [...added, token] })
    files['tokenizer.json'] = Uint8Array.from(Buffer.from(changed))
  }

describe('a special token, which is no part of a text, ends it where a stop text names it', () => {
  it('of a graph', async () => {
    const model = await (await hold('tiny-gpt', withSpecial('jumps'))).open()
    const pieces: string[] = []
    const onText = (piece: string): unknown => pieces.push(piece)
    const run = async (stop: string[] | undefined): Promise<object> => {
      const options = { stop, return_full_text: false }
      const { output, tokens } = only(await runTask('text-generation', model, ['the quick'], { options, onText }))
      return { text: output.generated_text, output: tokens?.output, ended: tokens?.ended }
    }
    expect(await run(undefined)).toEqual({ text: ' brown fox over lazy dog', output: 7, ended: 'model' })
    pieces.length = 0
    expect(await run(['cat', 'jumps'])).toEqual({ text: ' brown fox', output: 3, ended: 'stop' })
    expect(pieces.join('')).toBe(' brown fox')
    // What is the beginning of another one is given.
    expect(await run(['fox over', 'jumps'])).toMatchObject({ text: ' brown fox', ended: 'stop' })
    // The one that ends a text for the model, as ever.
    expect(await run(['<|endoftext|>'])).toEqual({ text: ' brown fox over lazy dog', output: 7, ended: 'model' })
  })

  it('of a GGUF', async (context: TestContext) => {
    llamaOrSkip(context)
    const bytes = Buffer.from(ggufFixture('tiny-gguf-llama').bytes)
    makeControl(bytes, '▁sleep', '<|stop|>')
    const model = await (await holdFiles({ 'model.gguf': Uint8Array.from(bytes) })).open()
    const run = async (stop: string[] | undefined): Promise<object> => {
      const options = { stop, return_full_text: false, max_new_tokens: 5 }
      const { output, tokens } = only(await runTask('text-generation', model, ['goats walks'], { options }))
      return { text: output.generated_text, output: tokens?.output, ended: tokens?.ended }
    }
    expect(await run(undefined)).toMatchObject({ output: 5, ended: 'length' })
    expect(await run(['cat', '<|stop|>'])).toEqual({ text: ' hills llama', output: 3, ended: 'stop' })
  })
})

/** Makes a token of a GGUF one that stands for no text, by another name of as many bytes. */
function makeControl(bytes: Buffer, from: string, to: string): void {
  // An array begins with what it is of and how many there are.
  const start = (key: string): number => bytes.indexOf(key) + key.length + 16
  let index = 0
  let at = start('tokenizer.ggml.tokens')
  while (bytes.toString('utf8', at + 8, at + 8 + bytes.readUInt32LE(at)) !== from) {
    at += 8 + bytes.readUInt32LE(at)
    index += 1
  }
  expect(Buffer.byteLength(to)).toBe(Buffer.byteLength(from))
  bytes.write(to, at + 8)
  bytes.writeInt32LE(3, start('tokenizer.ggml.token_type') + 4 * index)
}
