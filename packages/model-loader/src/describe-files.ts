import { InvalidInputError, type Block } from '@x/cid'
import { createDataHasher, encodeTensorTable, type Tensor, type TensorTable } from '@x/model-formats'

import { dataFileOf } from './data-file-of.ts'
import type { ManifestInput, ModelFacts } from './manifest.ts'
import { readFacts } from './model-facts.ts'
import type { ListedFile } from './model-files.ts'
import { createFileScan, type ScannedFile } from './scan-file.ts'
import { createSha256Anywhere, type CreateSha256 } from './sha256.ts'

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
  const facts = readFacts({ config: await start('config.json'), card: await start('README.md') })
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
  tables: Map<string, TensorTable>,
  paths: ReadonlySet<string>,
  read: (path: string) => AsyncIterable<Uint8Array>,
  createSha256: CreateSha256 = createSha256Anywhere,
): Promise<void> {
  const graphsOf = new Map<string, { graph: string; name: string }[]>()
  for (const [graph, { tensors }] of tables) {
    for (const name of new Set(tensors.flatMap(({ file }) => file ?? []))) {
      const file = dataFileOf(graph, { file: name })
      if (file !== undefined && paths.has(file)) graphsOf.set(file, [...(graphsOf.get(file) ?? []), { graph, name }])
    }
  }
  for (const [file, graphs] of graphsOf) {
    const hashers = graphs.flatMap(({ graph, name }) => {
      const table = tables.get(graph)
      return table ? [{ graph, hasher: createDataHasher(table, name, { createSha256 }) }] : []
    })
    for await (const piece of read(file)) for (const { hasher } of hashers) hasher.push(piece)
    for (const { graph, hasher } of hashers) {
      try {
        tables.set(graph, hasher.end())
      } catch (error) {
        // The file is shorter than the graph says: its tensors stay without digests, and a runtime refuses it.
        if (!(error instanceof InvalidInputError)) throw error
      }
    }
  }
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
