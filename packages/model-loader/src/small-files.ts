import type { OpenedModel } from './opened-model.ts'

/** Small files of models that were read and verified: a library reads them several times with each load. */
export interface SmallFiles {
  /** The bytes, verified when they were read. Who gets kept ones does not write to them. */
  read(model: OpenedModel, path: string): Promise<{ bytes: Uint8Array<ArrayBuffer>; isKept: boolean }>
  clear(): void
}

/** A tokenizer of a large vocabulary; weights are larger. Bytes. */
const SMALL = 32 * 1024 * 1024
/** Of all models together. Bytes. */
const MOST_BYTES = 64 * 1024 * 1024

/** Keeps those that were asked for last. */
export function createSmallFiles(): SmallFiles {
  const kept = new Map<string, { size: number; reading: Promise<Uint8Array<ArrayBuffer>> }>()
  return {
    async read(model, path) {
      const key = `${model.cid}/${path}`
      const known = kept.get(key)
      const size = known?.size ?? model.files.find((file) => file.path === path)?.size ?? Number.POSITIVE_INFINITY
      const reading = known?.reading ?? model.read(path)
      if (size > SMALL) return { bytes: await reading, isKept: false }
      const entry = { size, reading }
      kept.delete(key)
      kept.set(key, entry)
      let total = [...kept.values()].reduce((sum, file) => sum + file.size, 0)
      for (const [other, file] of kept) {
        if (total <= MOST_BYTES) break
        kept.delete(other)
        total -= file.size
      }
      try {
        return { bytes: await reading, isKept: true }
      } catch (error) {
        if (kept.get(key)?.reading === reading) kept.delete(key)
        throw error
      }
    },
    clear: () => kept.clear(),
  }
}
