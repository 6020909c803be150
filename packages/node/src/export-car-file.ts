import type { CID } from '@x/cid'
import { exportCar, type ContentSource, type ExportCarOptions } from '@x/storage-core'

import { writeWholeFile, type WriteWholeFileOptions } from './write-whole-file.ts'

export type ExportCarFileOptions = ExportCarOptions & WriteWholeFileOptions

/**
 * Writes a DAG to a CAR file, every block checked. All or nothing, as `writeWholeFile`.
 *
 * @returns Bytes of the CAR.
 * @throws {InvalidInputError} `target` is there, and `force` is false or it is no file.
 * @throws As `exportCar`.
 */
export async function exportCarFile(
  source: ContentSource,
  root: CID,
  target: string,
  { force, signal, onProgress }: ExportCarFileOptions = {},
): Promise<number> {
  return writeWholeFile(target, exportCar(source, root, { signal, onProgress }), { force, signal })
}
