/** Pages as users build them: with each bundler and with none, from packages as they would be published. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { createRunner } from '@x/infer-node'
import { addModel, openModel, openStorage, serveGateway } from '@x/node'
import { chromium, type Page } from 'playwright'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../tooling/chromium-or-skip.ts'
import { CHROMIUM, CHROMIUM_ARGUMENTS, LOOPBACK_ALONE, whyNoChromium } from '../../tooling/chromium.ts'
import { buildExample, EXAMPLES, exampleFolder, installExamples } from './pages/installed.ts'
import { polyfilled, scriptsIn, sizeOfOne } from './pages/output-files.ts'
import { serveExample } from './pages/serve-example.ts'

const OPTIONS = { pooling: 'mean', normalize: true } as const

interface Served {
  gateway: string
  cid: string
  embed: (texts: readonly string[]) => Promise<readonly ArrayLike<number>[]>
  close: () => Promise<void>
}

/** The model of the examples, on a gateway and in a runner in Node. */
async function serveModel(): Promise<Served> {
  const directory = await mkdtemp(path.join(tmpdir(), 'pages-store-'))
  const storage = await openStorage({ directory, environment: {} })
  const { cid } = await addModel(storage, fileURLToPath(modelDirectory))
  const server = await serveGateway(storage)
  const runner = createRunner({ openModel: (reference, options) => openModel(async () => storage, reference, options) })
  return {
    gateway: server.url,
    cid: cid.toString(),
    async embed(texts) {
      const vectors: ArrayLike<number>[] = []
      for await (const { output } of runner.run('feature-extraction', `ipfs://${cid}`, texts, { options: OPTIONS })) {
        vectors.push(Float64Array.from(output.data, Number))
      }
      return vectors
    },
    async close() {
      await runner.close()
      await server.close()
      await storage.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)

/** What a page shows: each text with its score, best first, and what its receipt says. */
async function searchIn(
  page: Page,
): Promise<{ query: string; ranking: { score: number; text: string }[]; receipt: string }> {
  const query = await page.getByLabel('What are you looking for?').inputValue()
  await page.getByRole('button', { name: 'Search' }).click()
  await page
    .getByRole('status')
    .filter({ hasText: /^(Done|Failed.*)$/ })
    .waitFor()
    .catch(async (cause: unknown) => {
      throw new Error(`it stands at: ${await page.getByRole('status').textContent()}`, { cause })
    })
  expect(await page.getByRole('status').textContent()).toBe('Done')
  const rows = await page.getByRole('listitem').allTextContents()
  return {
    query,
    ranking: rows.map((row) => ({
      score: Number(row.slice(0, row.indexOf(' '))),
      text: row.slice(row.indexOf(' ') + 1),
    })),
    receipt: (await page.locator('#receipt').textContent()) ?? '',
  }
}

let installed: Awaited<ReturnType<typeof installExamples>> | undefined
let model: Served | undefined
beforeAll(async () => {
  if (whyNoChromium() !== undefined) return
  installed = await installExamples()
  model = await serveModel()
})
afterAll(async () => {
  await model?.close()
  await installed?.remove()
})
beforeEach(chromiumOrSkip)

describe.for(EXAMPLES)('a page by %s', (example) => {
  it('builds without a warning, and without anything of Node', async () => {
    const { folder, printed } = await buildExample(installed?.folder ?? '', example)
    expect(printed).not.toMatch(/warning|externalized|polyfill|can't resolve/i)
    const scripts = await scriptsIn(folder)
    expect(scripts.length).toBeGreaterThan(3)
    expect(polyfilled(scripts)).toEqual([])
    const largest = scripts.toSorted((a, b) => b.gzipped - a.gzipped).slice(0, 4)
    const total = scripts.reduce((sum, { gzipped }) => sum + gzipped, 0)
    console.log(
      `${example}: ${scripts.length} scripts, ${total} bytes gzipped; ${largest.map((each) => `${each.name} ${each.gzipped}`).join(', ')}`,
    )
  })

  it.for([
    ['a plain server', false],
    ['a server that isolates it', true],
  ] as const)('searches as Node does, from %s', async ([, isolated]) => {
    if (!installed || !model) throw new Error('nothing is installed')
    const dist = path.join(installed.folder, example, example === 'import-map' ? '' : 'dist')
    const url = await serveExample(dist, model.gateway, isolated)
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...CHROMIUM_ARGUMENTS, LOOPBACK_ALONE] })
    onTestFinished(() => browser.close())
    const context = await browser.newContext()
    const requests: string[] = []
    const errors: string[] = []
    context.on('request', (request) => void requests.push(request.url()))
    context.on('weberror', (error) => void errors.push(error.error().message))
    context.on('console', (message) => void (message.type() === 'error' && errors.push(message.text())))
    const page = await context.newPage()
    page.setDefaultTimeout(240_000)
    await page.goto(url)
    expect(await page.evaluate('crossOriginIsolated')).toBe(isolated)

    const { query, ranking, receipt } = await searchIn(page)
    const [asked = [], ...vectors] = await model.embed([query, ...ranking.map(({ text }) => text)])
    const inNode = vectors.map((vector) => dot(vector, asked))
    expect(ranking).toHaveLength(3)
    expect(ranking[0]?.text).toContain('Returns are accepted')
    for (const [index, { score }] of ranking.entries())
      expect(Math.abs(score - (inNode[index] ?? 9))).toBeLessThan(1e-3)
    expect(receipt).toMatch(new RegExp(`^${model.cid} on (wasm|webgpu) by onnxruntime-web \\d\\S+ gave bafy`))

    // The storage's worker and the engine's. Those of WebAssembly's threads wait for work, and answer nobody meanwhile.
    const workers = page.workers().filter((each) => !/ort-wasm|\.mjs$/.test(each.url()))
    expect(workers.length).toBeGreaterThanOrEqual(1)
    const ofNode = '[typeof process, typeof Buffer, typeof global]'
    const globals = [await page.evaluate(ofNode), ...(await Promise.all(workers.map((each) => each.evaluate(ofNode))))]
    for (const of of globals) expect(of).toEqual(['undefined', 'undefined', 'undefined'])

    // Again, from what the page keeps.
    const before = requests.filter((each) => each.includes('/ipfs/')).length
    expect(before).toBeGreaterThan(0)
    expect((await searchIn(page)).ranking).toEqual(ranking)
    expect(requests.filter((each) => each.includes('/ipfs/'))).toHaveLength(before)

    const { origin } = new URL(url)
    expect(requests.filter((each) => /^https?:/.test(each) && !each.startsWith(`${origin}/`))).toEqual([])
    expect(errors).toEqual([])
  })
})

it('asks for the model that is served here', async () => {
  const program = await readFile(path.join(exampleFolder('vite'), 'main.js'), 'utf8')
  expect(program).toContain(`'ipfs://${model?.cid}'`)
})

it('has of a package what is used of it', async () => {
  const folder = installed?.folder ?? ''
  const engine = await sizeOfOne(folder, 'createEngine', '@x/infer-web')
  const storage = await sizeOfOne(folder, 'openStorage', '@x/web')
  const pulls = await sizeOfOne(folder, 'pullModel', '@x/web')
  console.log(`alone, gzipped: createEngine ${engine}, openStorage ${storage}, pullModel ${pulls} bytes`)
  expect(engine).toBeLessThan(30 * 1024)
  expect(storage).toBeLessThan(65 * 1024)
  expect(pulls).toBeGreaterThan(storage)
})
