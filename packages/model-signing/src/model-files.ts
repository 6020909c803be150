import { foldPath, InvalidInputError } from '@x/cid'

import { problemOfPath } from './model-path.ts'

/** A file of a model whose bytes were checked against its digest, or will be before they are used. */
export interface ModelFile {
  /** Relative, with `/`. */
  path: string
  /** 32 bytes. */
  sha256: Uint8Array
}

/** @throws {InvalidInputError} No files; a path that is none, or that is there twice (or but for case); a digest of another length. */
export function assertModelFiles(files: readonly ModelFile[]): void {
  if (files.length === 0) throw new InvalidInputError('a model without files', { input: 'files' })
  const seen = new Map<string, string>()
  for (const { path, sha256 } of files) {
    const problem = problemOfPath(path)
    if (problem !== undefined) throw new InvalidInputError(`file ${JSON.stringify(path)}: ${problem}`, { input: path })
    if (sha256.length !== 32) {
      throw new InvalidInputError(`file ${JSON.stringify(path)}: a SHA-256 of ${sha256.length} bytes`, { input: path })
    }
    const other = seen.get(foldPath(path))
    if (other !== undefined) {
      throw new InvalidInputError(`file ${JSON.stringify(path)}: collides with ${JSON.stringify(other)}`, {
        input: path,
      })
    }
    seen.set(foldPath(path), path)
  }
}
