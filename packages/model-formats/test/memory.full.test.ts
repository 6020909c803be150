import { execFile } from 'node:child_process'
import { link, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, expect, it } from 'vitest'

import { createSkeleton } from '../src/index.ts'
import { numbers } from './models.ts'
import { FLOAT, model, node, rawTensor, value } from './onnx.ts'
import { bytes, int, join as joinBytes, raw, string } from './protobuf.ts'

const WIDTH = 2048
const LAYERS = 24
const MIB = 2 ** 20
const folder = await mkdtemp(join(tmpdir(), 'memory-'))
afterAll(() => rm(folder, { recursive: true }))

interface Measured {
  /** `RssAnon` of the process after its first answer, MiB more than before the session. */
  privateMib: number
  /** Of the output's bytes. */
  digest: string
}

async function measure(path: string, options: object): Promise<Measured> {
  const child = fileURLToPath(new URL('children/infer.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    child,
    path,
    JSON.stringify(options),
  ])
  const result: unknown = JSON.parse(stdout)
  if (typeof result !== 'object' || result === null || !('privateMib' in result) || !('digest' in result)) {
    throw new TypeError('the child said something else')
  }
  return { privateMib: Number(result.privateMib), digest: String(result.digest) }
}

/** A chain of products: 16 MiB of weights each, written one after the other. */
async function writeModel(path: string): Promise<number> {
  const names = Array.from({ length: LAYERS + 1 }, (_, index) =>
    index === 0 ? 'x' : index === LAYERS ? 'y' : `h${index}`,
  )
  const weight = raw(numbers(WIDTH * WIDTH).map((each) => each / 16))
  const empty = bytes(5, rawTensor('w00', FLOAT, [WIDTH, WIDTH], weight))
  const nodes = names.slice(1).map((name, index) => {
    return node('MatMul', [names[index] ?? '', `w${String(index).padStart(2, '0')}`], [name])
  })
  const rest = joinBytes(
    ...nodes,
    value(11, 'x', FLOAT, [1, WIDTH]),
    value(12, 'y', FLOAT, [1, WIDTH]),
    string(2, 'graph'),
  )
  const [tag, ...length] = model(new Uint8Array()).subarray(0, 2)
  expect([tag, ...length]).toEqual([8, 8])
  const size = rest.length + LAYERS * empty.length
  const head = joinBytes(int(1, 8), Uint8Array.of(0x3a), int(0, size).subarray(1), rest)
  const file = await open(path, 'wx')
  await file.write(head)
  for (let layer = 0; layer < LAYERS; layer++) {
    weight[0] = layer
    await file.write(bytes(5, rawTensor(`w${String(layer).padStart(2, '0')}`, FLOAT, [WIDTH, WIDTH], weight)))
  }
  await file.write(bytes(8, string(1, ''), int(2, 17)))
  const { size: written } = await file.stat()
  await file.close()
  return written
}

it('opens a large model by its skeleton in a tenth of the private memory, with the same bits', async ({ skip }) => {
  if (process.platform !== 'linux') skip('private memory is read from /proc')
  const original = join(folder, 'original.onnx')
  const size = await writeModel(original)
  expect(size).toBeGreaterThan(384 * MIB)
  const handle = await open(original)
  let readBytes = 0
  const before = process.memoryUsage().rss
  const skeleton = await createSkeleton(
    {
      size,
      async read(offset, length) {
        readBytes += length
        const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, offset)
        return buffer.subarray(0, bytesRead)
      },
    },
    { location: 'linked.onnx' },
  )
  await handle.close()
  expect(skeleton.externalised).toHaveLength(LAYERS)
  expect(skeleton.bytes.length).toBeLessThan(10_000)
  expect(readBytes).toBeLessThan(MIB)
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * MIB)
  await writeFile(join(folder, 'skeleton.onnx'), skeleton.bytes)
  await link(original, join(folder, 'linked.onnx'))

  const unpacked = { extra: { session: { disable_prepacking: '1' } } }
  const whole = await measure(original, {})
  const wholeUnpacked = await measure(original, unpacked)
  const mapped = await measure(join(folder, 'skeleton.onnx'), unpacked)
  console.log(
    `private memory of a model of ${Math.round(size / MIB)} MiB, MiB: ${whole.privateMib} as one file, ${wholeUnpacked.privateMib} without prepacking, ${mapped.privateMib} by its skeleton; ${readBytes} bytes read, skeleton of ${skeleton.bytes.length}`,
  )
  expect(mapped.digest).toBe(wholeUnpacked.digest)
  expect(whole.privateMib).toBeGreaterThan(300)
  expect(mapped.privateMib).toBeLessThan(whole.privateMib / 10)
})
