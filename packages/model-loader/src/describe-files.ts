import type { Block } from '@x/cid'
import { encodeTensorTable, type Tensor, type TensorTable } from '@x/model-formats'

import { hashRanges } from './hash-ranges.ts'
import type { ManifestInput, ModelFacts } from './manifest.ts'
import { readFacts } from './model-facts.ts'
import type { ListedFile } from './model-files.ts'
import { createFileScan, type ScannedFile } from './scan-file.ts'
import type { CreateSha256 } from './sha256.ts'

export interface DescribeFilesOptions {
  createSha256?: CreateSha256 | undefined
  /** Of files that were read already, by path. */
  scanned?: ReadonlyMap<string, ScannedFile> | undefined
}

export interface DescribedFiles extends Pick<ManifestInput, 'files'>, ModelFacts {
  /** The blocks of tensor tables, each once. */
  tables: Block[]
}

/**
 * What a manifest says of a model's files. Each file is read, but for those that were; data files of ONNX graphs are read
 * once more, for the tensors in them are known only then.
 *
 * @param read - A file's bytes from its beginning; the reader may stop early.
 */
export async function describeFiles(
  files: readonly ListedFile[],
  read: (path: string) => AsyncIterable<Uint8Array>,
  { createSha256, scanned }: DescribeFilesOptions = {},
): Promise<DescribedFiles> {
  const scans = new Map<string, ScannedFile>()
  for (const { path } of files) scans.set(path, scanned?.get(path) ?? (await scanFile(path, read, createSha256)))
  const tables = new Map([...scans].flatMap(([path, { table }]) => (table ? [[path, table] as const] : [])))
  await digestExternal(tables, new Set(scans.keys()), read, createSha256)
  const blocks = new Map<string, Block>()
  const links = new Map<string, Block['cid']>()
  for (const [path, table] of tables) {
    const { root, pages } = await encodeTensorTable(table)
    for (const block of [root, ...pages]) blocks.set(block.cid.toString(), block)
    links.set(path, root.cid)
  }
  const start = async (path: string): Promise<Uint8Array | undefined> =>
    scans.has(path) ? readStart(read(path)) : undefined
  const facts = await readFacts({ config: await start('config.json'), card: await start('README.md') })
  return {
    ...facts,
    tables: [...blocks.values()],
    files: files.map((file) => {
      const { sha256, table } = scans.get(file.path) ?? {}
      if (!sha256) throw new Error(`${file.path} was not read`)
      const tensors = links.get(file.path)
      const dtype = table && table.format !== 'onnx' ? mostBytes(table.tensors) : undefined
      return { ...file, sha256, ...(tensors && { tensors }), ...(dtype !== undefined && { dtype }) }
    }),
  }
}

async function scanFile(
  path: string,
  read: (path: string) => AsyncIterable<Uint8Array>,
  createSha256: CreateSha256 | undefined,
): Promise<ScannedFile> {
  // What is held is described as it is: nobody is asked to add it.
  const scan = createFileScan(path, { createSha256, refuse: false })
  for await (const piece of read(path)) scan.push(piece)
  return scan.end()
}

/** Gives the tensors in data files their digests, where the model has these files. */
async function digestExternal(
  tables: ReadonlyMap<string, TensorTable>,
  paths: ReadonlySet<string>,
  read: (path: string) => AsyncIterable<Uint8Array>,
  createSha256: CreateSha256 | undefined,
): Promise<void> {
  const byFile = new Map<string, Tensor[]>()
  for (const [path, { tensors }] of tables) {
    for (const tensor of tensors) {
      const file = dataFileOf(path, tensor)
      if (file === undefined || !paths.has(file)) continue
      const known = byFile.get(file)
      if (known) known.push(tensor)
      else byFile.set(file, [tensor])
    }
  }
  for (const [file, tensors] of byFile) {
    const digests = await hashRanges(read(file), tensors, { createSha256 })
    tensors.forEach((tensor, index) => {
      const sha256 = digests[index]
      if (sha256) tensor.sha256 = sha256
    })
  }
}

/** The path in the model of the file that an external tensor lies in; `undefined`: in the graph itself. */
export function dataFileOf(graph: string, { file }: Pick<Tensor, 'file'>): string | undefined {
  return file === undefined ? undefined : `${graph.slice(0, graph.lastIndexOf('/') + 1)}${file}`
}

function mostBytes(tensors: readonly Tensor[]): string | undefined {
  const bytes = new Map<string, number>()
  for (const { dtype, length } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + length)
  return [...bytes].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))[0]?.[0]
}

/** Configurations and cards are a few kilobytes; what is longer is no use to a reader of facts. */
const MAX_FACT_BYTES = 2 ** 20

async function readStart(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const start: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  for await (const piece of pieces) {
    start.push(piece.slice(0, MAX_FACT_BYTES - size))
    size += piece.length
    if (size >= MAX_FACT_BYTES) break
  }
  return new Uint8Array(await new Blob(start).arrayBuffer())
}
