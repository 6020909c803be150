import { execFile } from 'node:child_process'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { createCache } from '@x/cache'
import {
  flipStoredByte,
  ggufFixture,
  largestDifference,
  readGgufReference,
  splitGgufLlama,
  tinyGgufLlama,
} from '@x/fixtures'
import { openModel, type OpenedModel } from '@x/model-loader'
import { LlamaModel } from 'node-llama-cpp'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'

import { startLlama } from '../src/gguf/llama.ts'
import { createRunner, runTask, verifyReceipt } from '../src/index.ts'
import { holdFiles, holdGguf, llamaOrSkip, only, watchLlama } from './gguf-support.ts'
import { tempDirectory } from './support.ts'

beforeEach(llamaOrSkip)

/** Flips a bit where the file is mapped from. */
async function damage(path = ''): Promise<void> {
  await chmod(path, 0o644)
  const bytes = await readFile(path)
  bytes[bytes.length - 100] = 1 ^ Number(bytes.at(-100))
  await writeFile(path, bytes)
}

describe('a text goes on as the reference says', () => {
  it.each(['tiny-gguf-llama', 'tiny-gguf-llama-q8'] as const)('%s', async (name) => {
    const { open } = await holdGguf(name)
    const model = await open()
    const runner = createRunner()
    for (const { prompt, maxNewTokens, repetitionPenalty, text } of readGgufReference(name).texts) {
      const pieces: string[] = []
      const options = {
        max_new_tokens: maxNewTokens,
        repetition_penalty: repetitionPenalty,
        return_full_text: maxNewTokens === 5,
      }
      const onText = (piece: string): unknown => pieces.push(piece)
      for await (const { output } of runner.run('text-generation', model, [prompt], { options, onText })) {
        expect(output.generated_text).toBe(maxNewTokens === 5 ? prompt + text : text)
      }
      expect(pieces.join('')).toBe(text)
      expect(pieces.length).toBeGreaterThan(1)
    }
    await runner.close()
  })
})

describe('a text has the vector of the reference', () => {
  it.each(['tiny-gguf-bert', 'tiny-gguf-bert-cls'] as const)('%s, pooled as the file says', async (name) => {
    const { open } = await holdGguf(name)
    const { vectors } = readGgufReference(name)
    const inputs = vectors.map(({ text }) => text)
    const results = await runTask('feature-extraction', await open(), inputs)
    for (const [index, { vector }] of vectors.entries()) {
      // llama.cpp looks its activations up in a table of float16.
      const { output, params } = only(results.slice(index, index + 1))
      expect(
        largestDifference({ ...output, data: [...output.data].map(Number) }, { ...output, data: vector }),
      ).toBeLessThan(2e-3)
      expect(params).toMatchObject({ pooling: name.endsWith('cls') ? 'cls' : 'mean', normalize: false })
    }
  })

  it('of length 1 where that is asked for', async () => {
    const { open } = await holdGguf('tiny-gguf-bert')
    const [result] = await runTask('feature-extraction', await open(), ['hello world'], {
      options: { normalize: true },
    })
    expect(Math.hypot(...[...(result?.output.data ?? [])].map(Number))).toBeCloseTo(1, 6)
  })

  it('of no more tokens than the model takes', async () => {
    const { open } = await holdGguf('tiny-gguf-bert')
    const running = runTask('feature-extraction', await open(), ['a '.repeat(511)])
    await expect(running).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('at most 510'),
    })
  })

  it('and no other pooling than the file’s', async () => {
    const { open } = await holdGguf('tiny-gguf-bert')
    const running = runTask('feature-extraction', await open(), ['hello'], { options: { pooling: 'cls' } })
    await expect(running).rejects.toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining('by mean') })
  })
})

describe('a chat', () => {
  const chat = [{ role: 'user', content: 'goats' }]

  it('becomes a text by the template of the file', async () => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const model = await open()
    const [answer] = await runTask('text-generation', model, [chat], { options: { max_new_tokens: 6 } })
    // What the template writes: its beginning, the message, a space and how the answer begins.
    const [text] = await runTask('text-generation', model, ['goats and'], {
      options: { max_new_tokens: 6, return_full_text: false },
    })
    expect(answer?.output.generated_text).toEqual([
      ...chat,
      { role: 'assistant', content: text?.output.generated_text },
    ])
  })

  it('is refused by a file without one', async () => {
    const { open } = await holdFiles({ 'model.gguf': tinyGgufLlama({ template: null }) })
    const running = runTask('text-generation', await open(), [chat])
    await expect(running).rejects.toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining('template') })
  })

  it('whose template has the date in it is not kept', async () => {
    const { open } = await holdFiles({ 'model.gguf': tinyGgufLlama({ template: "{{ strftime_now('%Y') }} goats" }) })
    const warnings: string[] = []
    const runner = createRunner({ cache: createCache(), onWarning: (message) => warnings.push(message) })
    const model = await open()
    for (const from of ['computed', 'computed']) {
      for await (const result of runner.run('text-generation', model, [chat])) expect(result.from).toBe(from)
    }
    expect(warnings.join()).toContain('puts the date into them')
    await runner.close()
  })
})

describe('a run ends', () => {
  it('at the next token when its signal aborts', async () => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const stop = new AbortController()
    const reason = new Error('enough')
    let pieces = 0
    const running = runTask('text-generation', await open(), ['river the hills a'], {
      signal: stop.signal,
      onText() {
        pieces += 1
        stop.abort(reason)
      },
    })
    await expect(running).rejects.toBe(reason)
    expect(pieces).toBe(1)
  })

  it('with what the caller’s own function throws', async () => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const mistake = new TypeError('mine')
    const running = runTask('text-generation', await open(), ['river the hills a'], {
      onText() {
        throw mistake
      },
    })
    await expect(running).rejects.toBe(mistake)
  })

  it('before it begins where there is no room for it', async () => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const running = runTask('text-generation', await open(), ['goats '.repeat(2048)])
    await expect(running).rejects.toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining('tokens') })
  })
})

const PIECE = 4096

/** How long the pieces of texts are that are made tokens of from now on; what the library tries itself is short. */
function watchPieces(onPiece: () => void = () => undefined): number[] {
  const lengths: number[] = []
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its own
  const tokenize = LlamaModel.prototype.tokenize
  const spy = vi.spyOn(LlamaModel.prototype, 'tokenize').mockImplementation(function (this: LlamaModel, ...given) {
    const { length } = given[0]
    if (length > 100) {
      lengths.push(length)
      onPiece()
    }
    return Reflect.apply(tokenize, this, given)
  })
  onTestFinished(() => spy.mockRestore())
  return lengths
}

describe('a text that is far too long', () => {
  const text = 'goats '.repeat(20_000)

  it('is refused before all of it is made tokens, and others are heard meanwhile', async () => {
    const model = await (await holdGguf('tiny-gguf-llama')).open()
    const heard: number[] = []
    const lengths = watchPieces(() => setImmediate(() => heard.push(lengths.length)))
    const running = runTask('text-generation', model, [text])
    await expect(running).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(/the prompt has more tokens; \S+ takes at most 2047 tokens/),
    })
    expect(lengths).toEqual(lengths.map(() => PIECE))
    expect(lengths.length * PIECE).toBeLessThan(text.length / 2)
    expect(heard.slice(0, lengths.length - 1)).toEqual(lengths.slice(1).map((_, index) => index + 1))
  })

  it('is refused at once where its length says it', async () => {
    const model = await (await holdGguf('tiny-gguf-bert')).open()
    const lengths = watchPieces()
    await expect(runTask('feature-extraction', model, [' '.repeat(100_000)])).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('the text has 100000 characters'),
    })
    expect(lengths).toEqual([])
  })

  it('is given up while it is made tokens', async () => {
    const model = await (await holdGguf('tiny-gguf-llama')).open()
    const [stop, reason] = [new AbortController(), new Error('enough')]
    const lengths = watchPieces(() => stop.abort(reason))
    const running = runTask('text-generation', model, [text], { signal: stop.signal })
    await expect(running).rejects.toBe(reason)
    expect(lengths).toEqual([PIECE])
  })
})

describe('loading ends', () => {
  const options = { max_new_tokens: 1 }

  it('for one who gives it up at once, and for good when nobody waits', async () => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const held = await open()
    const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const ended: unknown[] = []
    let times = 0
    const verifiedPath: OpenedModel['verifiedPath'] = (file, { signal }) => {
      if (times === 2) return Promise.resolve(held.path(file))
      begun[times]?.resolve()
      times += 1
      // Until it is told to stop, and not at once then.
      return new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => {
          ended.push(signal.reason)
          setImmediate(reject, signal.reason)
        }),
      )
    }
    const runner = createRunner()
    onTestFinished(() => runner.close())
    const model = { ...held, verifiedPath }
    const run = (signal?: AbortSignal): Promise<unknown> =>
      runner.run('text-generation', model, ['goats'], { options, signal }).next()
    const [one, other] = [new AbortController(), new AbortController()]
    const first = run(one.signal)
    await begun[0]?.promise
    const second = run(other.signal)
    // It waits for the same.
    await new Promise(setImmediate)
    one.abort(new Error('one'))
    await expect(first).rejects.toBe(one.signal.reason)
    expect(ended).toEqual([])
    other.abort(new Error('other'))
    await expect(second).rejects.toBe(other.signal.reason)
    expect(ended).toEqual([other.signal.reason])
    // One that comes while it ends begins again.
    const third = new AbortController()
    const late = run(third.signal)
    await begun[1]?.promise
    third.abort(new Error('third'))
    await expect(late).rejects.toBe(third.signal.reason)
    expect(await run()).toMatchObject({ value: { receipt: { task: 'text-generation' } } })
  })

  it('inside llama.cpp', async () => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const model = await open()
    const [stop, reason] = [new AbortController(), new Error('enough')]
    const { llama } = await startLlama(['cpu'], () => undefined)
    const load = llama.loadModel.bind(llama)
    const loads: unknown[] = []
    const spy = vi.spyOn(llama, 'loadModel').mockImplementation(async (given) => {
      const loading = load(given)
      stop.abort(reason)
      loads.push(...(await Promise.allSettled([loading])))
      return loading
    })
    onTestFinished(() => spy.mockRestore())
    const running = runTask('text-generation', model, ['goats'], { options, signal: stop.signal })
    await expect(running).rejects.toBe(reason)
    expect(loads).toEqual([{ status: 'rejected', reason }])
  })

  it('with nothing held where it cannot be said what loaded it', async () => {
    const opened = await watchLlama()
    const { open } = await holdGguf('tiny-gguf-llama')
    const { llama } = await startLlama(['cpu'], () => undefined)
    const failure = new Error('no release is known')
    const spy = vi.spyOn(llama, 'llamaCppRelease', 'get').mockImplementation(() => {
      throw failure
    })
    onTestFinished(() => spy.mockRestore())
    await expect(runTask('text-generation', await open(), ['goats'], { options })).rejects.toBe(failure)
    expect(opened.map(({ disposed }) => disposed)).toEqual([true])
  })
})

describe('of several files', () => {
  const several = {
    'gguf/tiny-F32.gguf': ggufFixture('tiny-gguf-llama').bytes,
    'gguf/tiny-Q8_0.gguf': ggufFixture('tiny-gguf-llama-q8').bytes,
    'other.gguf': tinyGgufLlama({ name: 'other' }),
    'old/twice.gguf': tinyGgufLlama({ name: 'old' }),
    'twice.gguf': tinyGgufLlama({ name: 'twice' }),
    // The eyes of a model that sees lie beside it.
    'mmproj-F16.gguf': ggufFixture('tiny-gguf-bert').bytes,
  }
  const options = { max_new_tokens: 1 }

  it.each([
    ['Q8_0', 'gguf/tiny-Q8_0.gguf', 'Q8_0'],
    ['tiny-F32.gguf', 'gguf/tiny-F32.gguf', 'F32'],
    ['other.gguf', 'other.gguf', 'F32'],
    ['twice.gguf', 'twice.gguf', 'F32'],
  ] as const)('%s is chosen', async (dtype, path, quantisation) => {
    const { open } = await holdFiles(several)
    const [result] = await runTask('text-generation', await open(), ['goats'], { dtype, options })
    expect(result?.receipt.files.map((file) => file.path)).toEqual([path])
    expect(result?.receipt.dtype).toEqual({ model: quantisation })
  })

  it.each([
    [undefined, 'INVALID_INPUT'],
    // By its name one, by what is in it another.
    ['F32', 'INVALID_INPUT'],
    ['Q4_K_M', 'NOT_FOUND'],
  ] as const)('%s is refused, and the message lists them', async (dtype, code) => {
    const { open } = await holdFiles(several)
    await expect(runTask('text-generation', await open(), ['goats'], { dtype, options })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/gguf\/tiny-F32\.gguf, .*other\.gguf/),
    })
  })

  it('the parts of a split one are run together, and checked', async () => {
    const files = splitGgufLlama('tiny-F32', 2)
    const { open } = await holdFiles(files)
    const model = await open()
    const { output, receipt } = only(await runTask('text-generation', model, ['goats walks']))
    expect(output.generated_text).toBe(`goats walks${readGgufReference('tiny-gguf-llama').texts[0]?.text}`)
    expect(receipt.files.map(({ path }) => path)).toEqual(Object.keys(files))
    const [, last = ''] = Object.keys(files)
    await damage(model.path(last))
    await expect(runTask('text-generation', model, ['goats'])).rejects.toMatchObject({ code: 'INTEGRITY', file: last })
  })

  it('a split one needs all of its parts', async () => {
    const { 'tiny-00003-of-00003.gguf': _, ...files } = splitGgufLlama('tiny', 3)
    const { open } = await holdFiles(files)
    await expect(runTask('text-generation', await open(), ['goats'])).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('tiny-00003-of-00003.gguf'),
    })
  })
})

describe('no file is opened that was not checked, and is not in the receipt:', () => {
  const options = { max_new_tokens: 1 }

  it.each(['w-00001-of-00000.gguf', 'w-00000-of-00002.gguf', 'w-00003-of-00002.gguf'])(
    '%s is no part',
    async (name) => {
      const { open } = await holdFiles({ [name]: tinyGgufLlama() })
      const model = await open()
      const { receipt } = only(await runTask('text-generation', model, ['goats'], { options }))
      expect(receipt.files.map(({ path }) => path)).toEqual([name])
      await damage(model.path(name))
      await expect(runTask('text-generation', model, ['goats'], { options })).rejects.toMatchObject({
        code: 'INTEGRITY',
      })
    },
  )

  it.each(['\n', '\u2028'])('parts are such with %j in their names', async (letter) => {
    const files = splitGgufLlama(`tiny${letter}F32`, 2)
    const { open } = await holdFiles(files)
    const { receipt } = only(await runTask('text-generation', await open(), ['goats'], { options }))
    expect(receipt.files.map(({ path }) => path)).toEqual(Object.keys(files))
  })

  it('parts by the header alone are refused', async () => {
    const [first, second] = Object.values(splitGgufLlama('tiny', 2))
    if (!first || !second) throw new Error('a split without parts')
    const { open } = await holdFiles({ 'tiny-00001-of-00002.GGUF': first, 'tiny-00002-of-00002.gguf.part': second })
    await expect(runTask('text-generation', await open(), ['goats'], { options })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('split into 2 files'),
    })
  })

  it('each part is read by the strict reader first', async () => {
    const { open } = await holdFiles(splitGgufLlama('tiny', 2))
    const held = await open()
    const [part, odd] = ['tiny-00002-of-00002.gguf', join(await tempDirectory(), 'odd.gguf')]
    await writeFile(odd, 'GGUF, or so')
    // As in a manifest of somebody who does not look at what is added.
    const model = { ...held, path: (file: string) => (file === part ? odd : held.path(file)) }
    await expect(runTask('text-generation', model, ['goats'], { options })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(`${part} is not a whole GGUF file`),
    })
  })
})

describe('what it rests on', () => {
  it('is in the receipt, by which it can be run again', async () => {
    const held = await holdGguf('tiny-gguf-llama')
    const model = await held.open()
    const runner = createRunner()
    const { receipt, blocks } = only(await runTask('text-generation', model, ['goats walks']))
    expect(receipt).toMatchObject({
      runtime: { name: 'llama.cpp', version: expect.stringMatching(/^\D*\d/) },
      library: { name: 'node-llama-cpp', version: expect.stringMatching(/^3\./) },
      tools: [
        { name: '@huggingface/jinja' },
        { name: '@x/infer-node' },
        { name: 'unicode', version: process.versions.unicode },
      ],
      executionProvider: 'cpu',
      dtype: { model: 'F32' },
      numericClass: expect.stringMatching(/-llama-1$/),
      files: [{ path: 'model.gguf' }],
    })
    expect(await verifyReceipt(runner, receipt, model, { blocks })).toMatchObject({ verdict: 'same', conditions: [] })
    const untrue = { ...receipt, output: receipt.input }
    expect(await verifyReceipt(runner, untrue, model, { blocks })).toMatchObject({ verdict: 'other' })
    await runner.close()
  })

  it('is the key under which a result is kept, and found again without the model being loaded', async () => {
    const held = await holdGguf('tiny-gguf-llama')
    const cache = createCache()
    const model = await held.open()
    for (const from of ['computed', 'memory'] as const) {
      const runner = createRunner({ cache })
      for await (const result of runner.run('text-generation', model, ['goats walks'])) expect(result.from).toBe(from)
      const { parts } = await runner.explain('text-generation', model, 'goats walks')
      expect(parts).toMatchObject({ runtime: { name: 'llama.cpp' }, numericClass: expect.stringContaining('-llama-1') })
      await runner.close()
    }
  })

  it('is not known of a GPU before the model is loaded, which finds out how many layers it computes', async () => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const cache = createCache()
    const model = await open()
    const llama = await startLlama(['cpu'], () => undefined)
    onTestFinished(() => void (llama.provider = 'cpu'))
    // As if it were one.
    llama.provider = 'cuda'
    const asked = { cache: 'use', options: { max_new_tokens: 1 } } as const
    for (const loaded of ['first', 'again']) {
      const runner = createRunner({ cache })
      const from: string[] = []
      for (let times = 0; times < 2; times++) {
        for await (const result of runner.run('text-generation', model, ['goats'], asked)) from.push(result.from)
      }
      expect([loaded, ...from]).toEqual([loaded, 'computed', 'memory'])
      await runner.close()
    }
  })

  it('are bytes that were verified when the model was opened', async () => {
    const { store, directory, added } = await holdGguf('tiny-gguf-llama')
    await flipStoredByte(directory, ggufFixture('tiny-gguf-llama').bytes)
    const runner = createRunner({ openModel: (reference, options) => openModel(store, reference, options) })
    const running = runner.run('text-generation', `ipfs://${added.cid}`, ['goats']).next()
    await expect(running).rejects.toMatchObject({ code: 'INTEGRITY', file: 'model.gguf' })
  })

  it('are still those when the file is mapped', async () => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const model = await open()
    await damage(model.path('model.gguf'))
    const running = runTask('text-generation', model, ['goats'])
    await expect(running).rejects.toMatchObject({ code: 'INTEGRITY', file: 'model.gguf' })
  })
})

describe('is refused', () => {
  it.each([
    ['a task that llama.cpp is not asked for', 'tiny-gguf-llama', 'fill-mask', 'UNSUPPORTED', 'ONNX'],
    ['a model that writes no text', 'tiny-gguf-bert', 'text-generation', 'INVALID_INPUT', 'writes none'],
  ] as const)('%s', async (_about, name, task, code, why) => {
    const { open } = await holdGguf(name)
    const running = runTask(task, await open(), ['goats'])
    await expect(running).rejects.toMatchObject({ code, message: expect.stringContaining(why) })
  })

  it('a file that llama.cpp does not take, with what it says', async () => {
    const { open } = await holdFiles({ 'model.gguf': tinyGgufLlama({ architecture: 'camel' }) })
    await expect(runTask('text-generation', await open(), ['a'])).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(/llama\.cpp cannot load .*model\.gguf: .*camel/),
    })
  })

  it('an execution provider that llama.cpp has not', async () => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const running = runTask('text-generation', await open(), ['a'], { providers: { require: 'coreml' } })
    await expect(running).rejects.toMatchObject({ code: 'GATED', message: expect.stringContaining('coreml') })
  })

  it.each([
    [['cuda', 'cpu'], 'cpu'],
    [{ require: 'cuda' }, 'GATED'],
  ] as const)('an execution provider without a build for it: %j', async (providers, outcome) => {
    const { open } = await holdGguf('tiny-gguf-llama')
    const warnings: string[] = []
    const runner = createRunner({ providers, onWarning: (message) => warnings.push(message) })
    const [ran] = await Promise.allSettled([runner.run('text-generation', await open(), ['goats']).next()])
    expect(ran).toMatchObject(
      outcome === 'cpu'
        ? { value: { value: { receipt: { executionProvider: 'cpu' } } } }
        : { reason: { code: outcome } },
    )
    expect(JSON.stringify([ran.status === 'rejected' && String(ran.reason), warnings])).toContain('no build for it')
    await runner.close()
  })

  it('where node-llama-cpp is not installed, and the package is named', async () => {
    const { store, directory, added } = await holdGguf('tiny-gguf-llama')
    await store.close()
    const child = fileURLToPath(new URL('./children/run-gguf.ts', import.meta.url))
    const { href: preload } = new URL('./children/no-llama.mjs', import.meta.url)
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--conditions=@x/source',
      '--disable-warning=ExperimentalWarning',
      `--import=${preload}`,
      child,
      directory,
      `ipfs://${added.cid}`,
    ])
    const refusal = { code: 'UNSUPPORTED', message: expect.stringContaining('install the package node-llama-cpp') }
    expect(JSON.parse(stdout)).toEqual([refusal, refusal])
  })

  it('a GGUF that is asked for and not there', async () => {
    const { open } = await holdFiles({ 'config.json': new TextEncoder().encode('{}') })
    const running = runTask('text-generation', await open(), ['a'], { dtype: 'Q4_K_M' })
    await expect(running).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
