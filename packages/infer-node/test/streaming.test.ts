import { fixtureMedia } from '@x/fixtures'
import { createTextStream } from '@x/pipelines/parts'
import { describe, expect, it } from 'vitest'

import { createRunner, runTask } from '../src/index.ts'
import { hold } from './support.ts'

describe('a generated text is given as it comes', () => {
  it('piece by piece, without the prompt', async () => {
    const { open } = await hold('tiny-gpt')
    const pieces: string[] = []
    const [result] = await runTask('text-generation', await open(), ['the quick'], {
      options: { max_new_tokens: 10 },
      onText: (piece) => pieces.push(piece),
    })
    expect(pieces.length).toBeGreaterThan(3)
    expect(`the quick${pieces.join('')}`).toBe(result?.output.generated_text)
  })

  it('of a chat', async () => {
    const { open } = await hold('tiny-gpt')
    const pieces: string[] = []
    const chat = [{ role: 'user', content: 'jumps over' }]
    const [result] = await runTask('text-generation', await open(), [chat], { onText: (piece) => pieces.push(piece) })
    expect(result?.output.generated_text).toEqual([...chat, { role: 'assistant', content: pieces.join('') }])
  })

  it('of an encoder and a decoder, and says of which input', async () => {
    const { open } = await hold('tiny-marian')
    const pieces = ['', '']
    const results = await runTask('translation', await open(), ['the red house', 'the house is small'], {
      onText: (piece, { index }) => (pieces[index] += piece),
    })
    expect(results.map(({ output }) => output.translation_text)).toEqual(['das rot haus', 'das haus ist klein'])
    expect(pieces).toEqual(['das rot haus', 'das haus ist klein'])
  })

  it('of an image and a prompt', async () => {
    const { open } = await hold('tiny-llava')
    const pieces: string[] = []
    const prompt = { text: 'user <image> what colour is this? assistant', image: fixtureMedia()['green.png'] }
    await runTask('image-text-to-text', await open(), [prompt], { onText: (piece) => pieces.push(piece) })
    expect(pieces.join('').trim()).toBe('green')
  })

  it('before the next token is made', async () => {
    const { open } = await hold('tiny-bart')
    const stop = new AbortController()
    const reason = new Error('enough')
    const pieces: string[] = []
    const running = runTask('summarization', await open(), ['rain fell on the town all night'], {
      signal: stop.signal,
      onText(piece) {
        pieces.push(piece)
        stop.abort(reason)
      },
    })
    await expect(running).rejects.toBe(reason)
    expect(pieces.join('').split(' ').length).toBeLessThan(4)
  })

  it('and what the caller throws is the caller’s', async () => {
    const { open } = await hold('tiny-gpt')
    const mistake = new TypeError('mine')
    const running = runTask('text-generation', await open(), ['the quick'], {
      onText() {
        throw mistake
      },
    })
    await expect(running).rejects.toBe(mistake)
  })

  it('but not of a task that generates none', async () => {
    const { open } = await hold('tiny-sentiment')
    const running = runTask('text-classification', await open(), ['good'], { onText: () => {} })
    await expect(running).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('text-generation'),
    })
  })
})

/** Each token is a byte. */
const decode = (ids: bigint[]): string => new TextDecoder().decode(Uint8Array.from(ids, Number))

function stream(bytes: number[]): string[] {
  const pieces: string[] = []
  const streamer = createTextStream({ decode }, (piece) => pieces.push(piece))
  streamer.put([[97n, 98n]])
  for (const byte of bytes) streamer.put([[BigInt(byte)]])
  streamer.end()
  return pieces
}

it('a character of several tokens is given when it is whole, or at the end', () => {
  expect(stream([0x63, 0xe2, 0x82, 0xac, 0x64])).toEqual(['c', '€', 'd'])
  expect(stream([0xe2, 0x82])).toEqual(['\ufffd'])
  expect(stream([])).toEqual([])
})

/** As the library writes a text down: without the space before some of what stands after words. */
const cleaned = (text: string): string =>
  text.replaceAll(' .', '.').replaceAll(" ' ", "'").replaceAll(" n't", "n't").replaceAll(" 's", "'s")

it('what the library takes away behind a token is never given', () => {
  for (const words of [
    ['it', " '", 's', ' good', ' .', ' yes'],
    ['ca', ' n', "'t", ' go', ' '],
    ['a', ' ', '.', ' b', " '", ' c', ' n', ' d'],
  ]) {
    const pieces: string[] = []
    const decoder = { decode: (ids: bigint[]) => cleaned(ids.map((id) => words[Number(id)]).join('')) }
    const streamer = createTextStream(decoder, (piece) => pieces.push(piece))
    streamer.put([[]])
    for (const index of words.keys()) streamer.put([[BigInt(index)]])
    streamer.end()
    expect(pieces.join('')).toBe(cleaned(words.join('')))
    expect(pieces.length).toBeGreaterThan(1)
  }
  // Of a prompt that ends in it nothing can be taken back; what is new is given.
  const prompted: string[] = []
  const words = ['it', " '", 's', ' good']
  const decoder = { decode: (ids: bigint[]) => cleaned(ids.map((id) => words[Number(id)]).join('')) }
  const streamer = createTextStream(decoder, (piece) => prompted.push(piece))
  streamer.put([[0n, 1n]])
  streamer.put([[2n]])
  streamer.put([[3n]])
  streamer.end()
  expect(prompted.join('')).toBe("'s good")
})

it('the type of a result is that of its task', async () => {
  const { open } = await hold('tiny-qa')
  const runner = createRunner()
  const input = { question: 'who lives in paris', context: 'bob lives in paris' }
  for await (const { output } of runner.run('question-answering', await open(), [input])) {
    // Compiles without a check.
    const [best] = output
    expect(best?.answer.toUpperCase()).toBe('BOB')
  }
  await runner.close()
})
