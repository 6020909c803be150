import { chmod, mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import type { CID } from '@x/cid'
import { createRunner } from '@x/infer-node'
import { openModel, openStorage } from '@x/node'
import { isStorageError, type ContentStore } from '@x/storage-core'

import type { Command, Context } from '../command.ts'
import { addEmbeddedModel, EMBEDDED_NAME } from '../embedded-model.ts'
import { formatBytes } from '../format.ts'
import { noOperands } from '../operands.ts'
import { reportError, type ReportedError } from '../report-error.ts'

const QUERY = 'How do I get my money back?'
const SENTENCES = [
  'Our refund policy: we return what you paid within thirty days.',
  'The river bank was covered in wild flowers.',
  'You can withdraw cash at any branch of the bank.',
  'A CID is computed from the bytes it names.',
  'The orchestra played the symphony without a conductor.',
]

export const demo: Command = {
  name: 'demo',
  operands: '',
  summary: 'store a real model, embed text by its CID, and see a flipped byte refused',
  options: {},
  async run(context, operands) {
    noOperands(operands)
    const store = await context.storage()
    const cid = await addNamed(context, store)
    await rankSentences(context, store, cid)
    await showRefusal(context)
    await context.printer.message(
      [
        `\nThe model stays in the store. Try: run feature-extraction --model ipfs://${cid.toString()} "some text"`,
        'Or in a browser: ipfs-accelerate serve (in this checkout ./ipfs-accelerate serve) has a page that runs it there.',
      ].join('\n'),
    )
  },
}

async function addNamed({ printer, signal, storage }: Context, store: ContentStore): Promise<CID> {
  const { cid, files, size } = await addEmbeddedModel(store, { name: EMBEDDED_NAME, signal })
  const where = (await storage()).directory
  await printer.result(
    { step: 'added', cid: cid.toString(), name: EMBEDDED_NAME, files, size, store: where },
    `1. added ${EMBEDDED_NAME}, quantised: ${files} files, ${formatBytes(size)}, to ${where}\n   ipfs://${cid.toString()}`,
  )
  return cid
}

async function rankSentences({ printer, signal }: Context, store: ContentStore, cid: CID): Promise<void> {
  const embed = await embedder(store, cid, signal)
  const [query, ...others] = await embed([QUERY, ...SENTENCES])
  const ranked = SENTENCES.map((sentence, index) => ({ sentence, cosine: cosine(query, others[index]) })).toSorted(
    (a, b) => b.cosine - a.cosine,
  )
  await printer.result(
    { step: 'ranked', query: QUERY, ranked },
    [
      `\n2. nearest to "${QUERY}", by embeddings of that CID`,
      ...ranked.map(({ sentence, cosine: value }) => `   ${value.toFixed(3).padStart(6)}  ${sentence}`),
    ].join('\n'),
  )
}

/** In a store of its own that is thrown away: one bit of the model is changed on disk, and the same run must be refused. */
async function showRefusal({ printer, io, signal }: Context): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'ipfs-accelerate-demo-'))
  try {
    const store = await openStorage({ directory, environment: io.environment })
    const { cid } = await addEmbeddedModel(store, { signal })
    const file = await largestOnnxFile(store, cid)
    await flipOneBit(file)
    const refusal = await errorOf(async () => (await embedder(store, cid, signal))([QUERY]))
    await store.close()
    signal.throwIfAborted()
    if (refusal === undefined) throw new Error(`a model with a flipped bit was run: ${file}`)
    const report = reportError(refusal, signal)
    if (report.code !== 'INTEGRITY') throw refusal
    await printer.result({ step: 'refused', ...report }, refusalText(report))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const refusalText = ({ message }: ReportedError): string =>
  `\n3. the same run on a copy of which one bit was flipped is refused:\n   ${message}`

async function embedder(
  store: ContentStore,
  cid: CID,
  signal: AbortSignal,
): Promise<(texts: string[]) => Promise<Float32Array[]>> {
  const model = await openModel(async () => store, `ipfs://${cid.toString()}`, { signal })
  return async (texts) => {
    const runner = createRunner({ openModel: (reference, options) => openModel(async () => store, reference, options) })
    const vectors: Float32Array[] = []
    try {
      for await (const { output } of runner.run('feature-extraction', model, texts, { signal }))
        vectors.push(vectorOf(output))
    } finally {
      await runner.close()
      await model.close()
    }
    return vectors
  }
}

function vectorOf(output: unknown): Float32Array {
  if (typeof output === 'object' && output !== null && 'data' in output && output.data instanceof Float32Array)
    return output.data
  throw new Error('feature-extraction gave no float32 tensor')
}

/** Of vectors of length 1, which is what the task gives by default. */
function cosine(a: Float32Array | undefined, b: Float32Array | undefined): number {
  if (a === undefined || b === undefined || a.length !== b.length) throw new Error('an embedding is missing')
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)
}

async function largestOnnxFile(store: ContentStore, cid: CID): Promise<string> {
  if (store.getPath === undefined) throw new Error(`${store.name} has no files on disk`)
  const directory = await store.getPath(cid, { path: 'onnx' })
  let largest: { name: string; size: number } | undefined
  for await (const { name, size } of store.ls(cid, { path: 'onnx' })) {
    if (largest === undefined || size > largest.size) largest = { name, size }
  }
  if (largest === undefined) throw new Error(`${cid.toString()} has no ONNX file`)
  return path.join(directory, largest.name)
}

async function flipOneBit(file: string): Promise<void> {
  await chmod(file, 0o600)
  const middle = Math.floor((await stat(file)).size / 2)
  const handle = await open(file, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, middle)
    byte.writeUInt8(byte.readUInt8() ^ 1)
    await handle.write(byte, 0, 1, middle)
  } finally {
    await handle.close()
  }
}

async function errorOf(action: () => Promise<unknown>): Promise<Error | undefined> {
  try {
    await action()
    return undefined
  } catch (error) {
    if (isStorageError(error)) return error
    throw error
  }
}
