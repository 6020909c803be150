import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

import { env } from '@huggingface/transformers'
import { verify } from '@x/cid'
import { fixtureMedia } from '@x/fixtures'
import { decodeReceipt, encodeReceipt, type GivenOptions, type TaskName } from '@x/infer-core'
import { describe, expect, it } from 'vitest'

import own from '../package.json' with { type: 'json' }
import { createRunner, runTask, type TaskInput, type TaskResult } from '../src/index.ts'
import { hold } from './support.ts'

const media = fixtureMedia()
// Before anything here has run.
const untouched = { ...env }

async function runBert(inputs: TaskInput[], options: GivenOptions = {}): Promise<TaskResult[]> {
  const { open } = await hold('tiny-bert')
  return runTask('feature-extraction', await open(), inputs, { options })
}

describe('a receipt', () => {
  it('is the same when it is run again', async () => {
    const [[first], [second]] = [await runBert(['hello']), await runBert(['hello'])]
    expect(second?.receipt).toEqual(first?.receipt)
    expect(second?.receiptCid).toEqual(first?.receiptCid)
  })

  it('names the runtime and the library as they are installed', async () => {
    const [result] = await runBert(['hello'])
    // As transformers.js finds it.
    const load = createRequire(createRequire(import.meta.url).resolve('@huggingface/transformers'))
    const installed: unknown = load('onnxruntime-node/package.json')
    expect(installed).toMatchObject(result?.receipt.runtime ?? {})
    expect(result?.receipt.library).toEqual({ name: '@huggingface/transformers', version: env.version })
  })

  it('names this package as it is installed, what is a letter here, and where images are decoded what decodes them', async () => {
    const load = createRequire(createRequire(import.meta.url).resolve('@huggingface/transformers'))
    const { versions }: { versions: { sharp: string } } = load('sharp')
    const [text] = await runBert(['hello'])
    // Of U+16EA0 Node 22.19 says that it is no letter, and Node 24.21 that it is one.
    const unicode = { name: 'unicode', version: process.versions.unicode }
    expect(text?.receipt.tools).toEqual([{ name: own.name, version: own.version }, unicode])
    const { open } = await hold('tiny-vit')
    const [image] = await runTask('image-classification', await open(), [media['green.png']])
    expect(image?.receipt.tools).toEqual([
      { name: own.name, version: own.version },
      { name: 'sharp', version: versions.sharp },
      unicode,
    ])
  })

  it('comes with the blocks that it names, and its own', async () => {
    const [result] = await runBert(['hello'])
    if (!result) throw new Error('no result')
    const { blocks, receipt, receiptCid } = result
    for (const { cid, bytes } of blocks) await verify(cid, bytes)
    const cids = [receipt.input, receipt.params, receipt.output, receiptCid].map(String)
    expect(blocks.map(({ cid }) => cid.toString())).toEqual(cids)
    expect(decodeReceipt(blocks[3]?.bytes ?? new Uint8Array())).toEqual(receipt)
    expect((await encodeReceipt(receipt)).cid).toEqual(receiptCid)
    expect(new Date(result.startedAt).toISOString()).toBe(result.startedAt)
    expect(result.durationMs).toBeGreaterThan(0)
  })

  it('has the same output alone and among others, whatever their length', async () => {
    const [alone] = await runBert(['hello world'])
    const among = await runBert(['this is a test of content addressing', 'hello world', '', 'a'])
    expect(among[1]?.receipt.output).toEqual(alone?.receipt.output)
    expect(among[1]?.receiptCid).toEqual(alone?.receiptCid)
    expect(new Set(among.map(({ receiptCid }) => receiptCid.toString())).size).toBe(4)
  })

  it('changes with input, parameters and model, and with nothing else', async () => {
    const [base] = await runBert(['hello'])
    const [otherInput] = await runBert(['hello!'])
    const [otherParams] = await runBert(['hello'], { normalize: true })
    const [sameParams] = await runBert(['hello'], { pooling: 'mean', normalize: false })
    const { open } = await hold('tiny-bert', (files) => {
      files['README.md'] = new TextEncoder().encode('a note')
    })
    const [otherModel] = await runTask('feature-extraction', await open(), ['hello'])
    expect(otherInput?.receipt.input).not.toEqual(base?.receipt.input)
    expect(otherInput?.receipt.params).toEqual(base?.receipt.params)
    expect(otherParams?.receipt.params).not.toEqual(base?.receipt.params)
    expect(otherParams?.receipt.output).not.toEqual(base?.receipt.output)
    expect(sameParams?.receiptCid).toEqual(base?.receiptCid)
    expect(otherModel?.receipt.output).toEqual(base?.receipt.output)
    expect(otherModel?.receipt.files).toEqual(base?.receipt.files)
    expect(otherModel?.receiptCid).not.toEqual(base?.receiptCid)
  })

  it('is the same for a file by path, by URL and by its bytes', async () => {
    const { open, directory } = await hold('tiny-vit')
    const path = `${directory}/green.png`
    await writeFile(path, media['green.png'])
    const inputs = [path, new URL(`file://${path}`), media['green.png']]
    const results = await runTask('image-classification', await open(), inputs)
    expect(new Set(results.map(({ receiptCid }) => receiptCid.toString())).size).toBe(1)
  })
})

describe('a runner', () => {
  it('loads a model once, and opens a CID once', async () => {
    const { added, open } = await hold('tiny-bert')
    const opened: string[] = []
    const closed: string[] = []
    const runner = createRunner({
      openModel: async (reference) => {
        opened.push(reference)
        return { ...(await open()), close: async () => void closed.push(reference) }
      },
    })
    const run = async (reference: string): Promise<string[]> => {
      const cids: string[] = []
      for await (const { receiptCid } of runner.run('feature-extraction', reference, ['hello']))
        cids.push(`${receiptCid}`)
      return cids
    }
    const reference = `ipfs://${added.cid}`
    const first = await run(reference)
    expect(await run(added.cid.toString())).toEqual(first)
    expect(opened).toEqual([reference])
    // A name may have moved: it is looked up each time, and what it is opened for twice is closed.
    expect(await run('org/tiny')).toEqual(first)
    expect([opened, closed]).toEqual([[reference, 'org/tiny'], ['org/tiny']])
    await runner.close()
    expect(closed).toEqual(['org/tiny', reference])
    await expect(run(reference)).rejects.toMatchObject({ code: 'BACKEND', message: 'the runner is closed' })
    await runner.close()
  })

  it('runs two models at once, and one model for two callers at once', async () => {
    const [bert, sentiment] = [await hold('tiny-bert'), await hold('tiny-sentiment')]
    const runner = createRunner()
    const [model, other] = [await bert.open(), await sentiment.open()]
    const run = async (task: TaskName, which: typeof model): Promise<string> => {
      for await (const { receiptCid } of runner.run(task, which, ['this is'])) return receiptCid.toString()
      throw new Error('no result')
    }
    const cids = await Promise.all([
      run('feature-extraction', model),
      run('text-classification', other),
      run('feature-extraction', model),
    ])
    expect(cids[0]).toBe(cids[2])
    await runner.close()
  })

  it('takes inputs as they come, and gives each result before it asks for the next', async () => {
    const { open } = await hold('tiny-bert')
    const runner = createRunner()
    const order: string[] = []
    async function* lines(): AsyncGenerator<string> {
      for (const line of ['hello', 'world']) {
        order.push(`asked for ${line}`)
        yield line
      }
    }
    for await (const { receipt } of runner.run('feature-extraction', await open(), lines())) order.push(receipt.task)
    expect(order).toEqual(['asked for hello', 'feature-extraction', 'asked for world', 'feature-extraction'])
    await runner.close()
  })

  it('stops between two inputs with the reason', async () => {
    const { open } = await hold('tiny-bert')
    const controller = new AbortController()
    const reason = new Error('the caller gave up')
    const runner = createRunner()
    const results = runner.run('feature-extraction', await open(), ['a', 'b'], { signal: controller.signal })
    expect((await results.next()).done).toBe(false)
    controller.abort(reason)
    await expect(results.next()).rejects.toBe(reason)
    await runner.close()
  })

  it('leaves transformers.js as it was', async () => {
    const { open } = await hold('tiny-bert')
    await runTask('feature-extraction', await open(), ['hello'])
    await expect(runTask('image-classification', await open(), [])).rejects.toThrowError('preprocessor_config.json')
    expect(env.fetch).toBe(untouched.fetch)
    expect([env.customCache, env.useCustomCache]).toEqual([null, false])
  })
})
