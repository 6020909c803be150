import { InvalidInputError } from '@x/cid'
import type { AbortOptions, DirectorySource, FileSource } from '@x/storage-core'

import { CONFIG, isModelListing, NO_MODEL } from './model-listing.ts'
import { createFileScan, type ScannedFile } from './scan-file.ts'
import type { CreateSha256 } from './sha256.ts'
import { readSourceTree, type SourceTree } from './source-tree.ts'

export interface CheckedSource extends SourceTree {
  /** Each file that was read to its end. */
  scanned: ReadonlyMap<string, ScannedFile>
}

export interface CheckedSourceOptions extends AbortOptions {
  /** What messages call the directory. */
  label: string
  createSha256?: CreateSha256 | undefined
}

/** Configurations are a few kilobytes. */
const MAX_CONFIG_BYTES = 16 * 2 ** 20

/**
 * A model's directory whose files check themselves and are hashed while something else reads them: one pass over the
 * bytes. A file that does not pass fails its reader at its end, so that a store adds none of it.
 *
 * @throws {InvalidInputError} The directory is empty, is no model (`isModelListing`), or holds what `readSourceTree` refuses.
 *   Later, when read: config.json is no JSON object, or ONNX, safetensors or GGUF is cut short.
 */
export async function checkSource(
  source: DirectorySource,
  { label, createSha256, signal }: CheckedSourceOptions,
): Promise<CheckedSource> {
  const scanned = new Map<string, ScannedFile>()
  const wrap = (path: string, file: FileSource): FileSource => ({
    ...file,
    // The bytes must come this way, to be checked.
    localPath: undefined,
    open: (options) => watched(path, file.open(options)),
  })

  async function* watched(path: string, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const scan = createFileScan(path, { label: `${label}: ${path}`, createSha256 })
    const check = path === CONFIG ? createConfigCheck(`${label}: ${path}`) : undefined
    for await (const piece of pieces) {
      scan.push(piece)
      check?.push(piece)
      yield piece
    }
    check?.end()
    scanned.set(path, scan.end())
  }

  const tree = await readSourceTree(source, { signal, wrap })
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${label} is no model: ${why}`, { input: label })
  }
  if (tree.files.size === 0) refuse('the directory is empty')
  if (!isModelListing(tree.files.keys())) refuse(NO_MODEL)
  return { ...tree, scanned }
}

interface Check {
  push(piece: Uint8Array): void
  end(): void
}

function createConfigCheck(file: string): Check {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  let size = 0
  const guarded = (work: () => void): void => {
    try {
      work()
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new InvalidInputError(`${file} is not a JSON object: ${why}`, { input: file, cause })
    }
  }
  return {
    push(piece) {
      size += piece.length
      guarded(() => {
        if (size > MAX_CONFIG_BYTES) throw new RangeError(`it is over ${MAX_CONFIG_BYTES} bytes long`)
        text += decoder.decode(piece, { stream: true })
      })
    },
    end() {
      guarded(() => {
        const value: unknown = JSON.parse(text + decoder.decode())
        if (typeof value !== 'object' || value === null || Array.isArray(value))
          throw new TypeError('it is another value')
      })
    },
  }
}
