/**
 * Bugs of transformers.js that a program does not have with the hook: each is shown with the plain library first. Where that
 * fails, the library has mended it: the test, and what is done about it here, can go.
 */
import path from 'node:path'

import { fixtureModel, flipStoredByte, wideBert } from '@x/fixtures'
import { describe, expect, it } from 'vitest'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { copyLibrary, libraryCacheOf, runApp, storeOf, type AppOptions, type Files } from './hook-support.ts'
import { temporaryDirectory } from './support.ts'

const REPO = 'fix/tiny-bert'
const REVISION = '0123456789012345678901234567890123456789'
const STRICT = { IPFS_ACCELERATE_NETWORK: 'off' }
const bert = (): Files => fixtureModel('tiny-bert').files

const plain = (app: string, environment: Record<string, string>, options: AppOptions = {}) =>
  runApp(app, { hook: 'none', environment, ...options })
const hooked = (app: string, store: string, environment: Record<string, string> = {}, options: AppOptions = {}) =>
  runApp(app, { store, environment: { ...STRICT, ...environment }, ...options })

/** What the plain library does wrong. */
function stillThere(bug: string, look: () => void): void {
  try {
    look()
  } catch (cause) {
    throw new Error(`transformers.js seems to have mended ${bug}: this test and what it is about can go`, { cause })
  }
}

const installAlone = async (modules: string): Promise<void> => void (await copyLibrary(modules))

describe('a graph that was loaded by path', () => {
  it('is read a second time as a whole; with us it is not', async () => {
    const library = await plain('watch-reads.mjs', { LIBRARY_CACHE: await libraryCacheOf(REPO, bert()) })
    stillThere('B1', () => {
      expect(library.json).toMatchObject({ dims: [1, 16] })
      expect(Number(Object(library.json).graphs)).toBeGreaterThan(0)
    })
    const ours = await hooked('watch-reads.mjs', await storeOf({ [REPO]: bert() }))
    expect(ours.json).toEqual({ dims: [1, 16], graphs: 0 })
  })
})

describe('a pinned revision that is held whole', () => {
  it('fails offline, for main is asked for first; with us it loads', async () => {
    const environment = { REVISION, OFFLINE: '1' }
    const cache = await libraryCacheOf(REPO, bert(), REVISION)
    const library = await plain('answer-or-error.mjs', { ...environment, LIBRARY_CACHE: cache })
    stillThere('B2', () => {
      expect(library.json).toMatchObject({ error: expect.stringContaining('config.json') })
    })
    const store = await storeOf({ [`${REPO}@${REVISION}`]: bert() })
    expect((await hooked('answer-or-error.mjs', store, environment)).json).toEqual({ dims: [1, 16] })
  })

  it('is never mixed with another that is held too', async () => {
    // Without its tokenizer configuration the listing of the other one would leave the tokenizer out.
    const { 'tokenizer_config.json': _, ...other } = bert()
    const store = await storeOf({ [REPO]: other, [`${REPO}@${REVISION}`]: bert() })
    expect((await hooked('answer-or-error.mjs', store, { REVISION })).json).toEqual({ dims: [1, 16] })
    const main = await hooked('answer-or-error.mjs', await storeOf({ [`${REPO}@${REVISION}`]: bert() }))
    expect(main.json).toMatchObject({ error: expect.stringContaining('/resolve/main/') })
  })
})

describe('external data that is missing', () => {
  it('ends the program or leaves it waiting; with us the load fails and names the file', async () => {
    const { 'onnx/model.onnx_data': _, ...files } = fixtureModel('tiny-bert-external').files
    const cache = await libraryCacheOf(REPO, files)
    const library = await plain('answer-or-error.mjs', { LIBRARY_CACHE: cache, OFFLINE: '1' }, { limitMs: 60_000 })
    stillThere('B3', () => {
      expect(library.json).toBeUndefined()
      expect(library.code).not.toBe(0)
    })
    const ours = await hooked('answer-or-error.mjs', await storeOf({ [REPO]: files }))
    expect(ours.json).toMatchObject({ code: 'NOT_FOUND', error: expect.stringContaining('onnx/model.onnx_data') })
    expect(ours.code).toBe(0)
  })
})

describe('external data that is damaged', () => {
  it('ends in an error that names the file, which the program can catch', async () => {
    const files = wideBert(256, 2, 'external')
    const store = await storeOf({ [REPO]: files })
    await flipStoredByte(store, files['onnx/model.onnx_data'] ?? new Uint8Array(0))
    const ours = await hooked('answer-or-error.mjs', store)
    expect(ours.json).toMatchObject({ error: expect.stringContaining('onnx/model.onnx_data') })
    expect(ours.code).toBe(0)
  })
})

describe('a file that was not there yet', () => {
  it('stays missing for as long as the process runs; with us the next attempt finds it', async () => {
    const files = bert()
    let isWhole = false
    const url = await serveOnLoopback((request, response) => {
      const name = (request.url ?? '').replace(`/${REPO}/resolve/main/`, '')
      const bytes = isWhole || name !== 'tokenizer_config.json' ? files[name] : undefined
      if (request.url === '/next') isWhole = true
      response.writeHead(bytes || request.url === '/next' ? 200 : 404).end(bytes)
    })
    const hub = `${url}/`
    const library = await plain('twice.mjs', {
      LIBRARY_CACHE: await temporaryDirectory(),
      HUB: hub,
      NEXT: `${hub}next`,
    })
    stillThere('B5', () => {
      expect(library.json).toMatchObject({ second: expect.stringContaining('tokenizer') })
    })

    const store = path.join(await temporaryDirectory(), 'store')
    const adding = await serveOnLoopback((_request, response) => {
      void storeOf({ [REPO]: bert() }, store).then(() => response.end())
    })
    const { json } = await hooked('twice.mjs', store, { NEXT: `${adding}/` })
    expect(json).toEqual({ first: expect.stringContaining('was refused'), second: [1, 16] })
  })
})

describe('a flipped bit in the weights', () => {
  it('is answered with; with us it is refused, and the file is named', async () => {
    const graph = bert()['onnx/model.onnx'] ?? new Uint8Array(0)
    const flipped = graph.slice()
    const at = graph.length >> 1
    flipped[at] = (flipped[at] ?? 0) ^ 1
    const cache = await libraryCacheOf(REPO, { ...bert(), 'onnx/model.onnx': flipped })
    const library = await plain('answer-or-error.mjs', { LIBRARY_CACHE: cache })
    stillThere('B6', () => {
      expect(library.json).toEqual({ dims: [1, 16] })
    })
    const store = await storeOf({ [REPO]: bert() })
    await flipStoredByte(store, graph)
    const ours = await hooked('answer-or-error.mjs', store)
    expect(ours.json).toMatchObject({ error: expect.stringContaining('onnx/model.onnx') })
  })
})

describe('where nothing is hoisted', () => {
  it('the library lacks a package that it imports; with us it loads', async () => {
    const library = await plain('only-load.mjs', {}, { install: installAlone })
    stillThere('B8', () => {
      expect(library.code).not.toBe(0)
      expect(library.stderr).toContain("Cannot find package 'onnxruntime-common'")
    })
    const ours = await hooked('embed.mjs', await storeOf({ [REPO]: bert() }), {}, { install: installAlone })
    expect(ours.json).toMatchObject({ dims: [1, 16] })
  })
})
