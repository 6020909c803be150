import { encodeOutput, encodeReceipt, type ResultReceipt } from '@x/infer-core'
import { expect, it, onTestFinished } from 'vitest'

import { createRunner, verifyReceipt, type Runner, type TaskResult } from '../src/index.ts'
import { hold } from './support.ts'

async function setup() {
  const model = await (await hold('tiny-bert')).open()
  const runner = createRunner()
  onTestFinished(() => runner.close())
  for await (const result of runner.run('feature-extraction', model, ['hello world'])) return { model, runner, result }
  throw new Error('no result')
}

/** The same result with the first number of the output moved. */
async function moved(result: TaskResult, by: number): Promise<TaskResult> {
  const { output } = result
  if (typeof output !== 'object' || output === null || !('data' in output)) throw new Error('no tensor')
  const data = Float32Array.from(output.data, Number)
  data[0] = (data[0] ?? 0) + by
  const block = await encodeOutput({ type: 'float32', dims: output.dims, data })
  const receipt: ResultReceipt = { ...result.receipt, output: block.cid }
  const blocks = [...result.blocks.filter(({ cid }) => !cid.equals(result.receipt.output)), block]
  return { ...result, receipt, receiptCid: (await encodeReceipt(receipt)).cid, blocks }
}

it('is the same output, with what is kept of the result alone', async () => {
  const { model, runner, result } = await setup()
  const verdict = await verifyReceipt(runner, result.receipt, model, { blocks: result.blocks })
  expect(verdict).toMatchObject({ verdict: 'same', conditions: [], difference: undefined })
})

it('is another output, and by how much', async () => {
  const { model, runner, result } = await setup()
  const { receipt, blocks } = await moved(result, 0.5)
  const verdict = await verifyReceipt(runner, receipt, model, { blocks })
  expect(verdict).toMatchObject({
    verdict: 'other',
    conditions: [],
    difference: { differing: 1, at: '[0]', others: [] },
  })
  expect(verdict.difference?.largest).toBeCloseTo(0.5, 6)
})

it.each<[string, Partial<ResultReceipt>]>([
  ['runtime', { runtime: { name: 'onnxruntime-node', version: '0.0.1' } }],
  ['library', { library: { name: '@huggingface/transformers', version: '0.0.1' } }],
  ['executionProvider', { executionProvider: 'cuda' }],
  ['numericClass', { numericClass: 'arm64-0123456789ab-prepacked' }],
  ['numericClass', { schema: 1, numericClass: undefined }],
  ['tools', { tools: [{ name: '@x/infer-node', version: '0.0.1' }] }],
  ['tools', { schema: 2, tools: undefined }],
])('cannot tell where the %s is another one', async (part, change) => {
  const { model, runner, result } = await setup()
  const { receipt, blocks } = await moved(result, 0.5)
  const verdict = await verifyReceipt(runner, { ...receipt, ...change }, model, { blocks })
  expect(verdict).toMatchObject({ verdict: 'incomparable', conditions: [{ part }] })
  // The same output is the same, wherever it was computed.
  const same = await verifyReceipt(runner, { ...result.receipt, ...change }, model, { blocks })
  expect(same).toMatchObject({ verdict: 'same', conditions: [{ part }] })
})

it('cannot tell of a model that gives another output each time', async () => {
  const { model, runner, result } = await setup()
  const { receipt, blocks } = await moved(result, 0.5)
  let runs = 0
  const mockLots: Runner = {
    ...runner,
    async *run(...args) {
      for await (const each of runner.run(...args)) yield Object.assign(each, await moved(each, (runs += 1)))
    },
  }
  expect(await verifyReceipt(mockLots, receipt, model, { blocks })).toMatchObject({ verdict: 'undetermined' })
  expect(runs).toBe(2)
})

it('refuses another model, input or parameters before it runs anything', async () => {
  const { model, runner, result } = await setup()
  const other = await (await hold('tiny-sentiment')).open()
  const mockIdle: Runner = {
    ...runner,
    // oxlint-disable-next-line require-yield -- it is never to come so far
    async *run() {
      throw new Error('it ran')
    },
  }
  const { receipt, blocks } = result
  const verify = (given: typeof model, options: Parameters<typeof verifyReceipt>[3]) =>
    verifyReceipt(mockIdle, receipt, given, options)
  await expect(verify(other, { blocks })).rejects.toMatchObject({ code: 'INVALID_INPUT', input: `${other.cid}` })
  await expect(verify(model, { blocks, input: 'another' })).rejects.toThrowError('not the input of the receipt')
  const options = { normalize: true }
  await expect(verify(model, { blocks, options })).rejects.toThrowError('not the parameters of the receipt')
  await expect(verify(model, {})).rejects.toThrowError('its input is not kept here')
})

it('refuses a receipt that names files which its model has not, though the output be the same', async () => {
  const { model, runner, result } = await setup()
  const { receipt, blocks } = result
  const [file, ...others] = receipt.files
  if (file === undefined) throw new Error('no file')
  const [other] = others
  for (const wrong of [
    { path: 'nowhere.onnx', cid: file.cid },
    { path: file.path, cid: other?.cid ?? receipt.model },
  ]) {
    const forged = { ...receipt, files: [wrong, ...others] }
    await expect(verifyReceipt(runner, forged, model, { blocks })).rejects.toMatchObject({
      code: 'INTEGRITY',
      file: wrong.path,
      cid: wrong.cid,
    })
  }
})
