import type { ManifestSummary, ModelSummary } from '@x/model-loader'

import type { Context } from '../../command.ts'
import { formatBytes, printable } from '../../format.ts'

/** With what its manifest says of it, where it has one. */
export interface ModelLine extends Partial<ManifestSummary> {
  cid: string
  name: string | null
  version?: string
  files: number
  size: number
}

export const toLine = ({ cid, name, files, size, facts }: ModelSummary): ModelLine => ({
  cid: cid.toString(),
  name: name ?? null,
  files,
  size,
  ...facts,
})

export async function printModel({ printer }: Context, model: ModelLine): Promise<void> {
  const { cid, name, version, files, size, task, dtypes } = model
  const called = name === null ? '' : printable(version === undefined ? name : `${name}@${version}`)
  const columns = [`ipfs://${cid}`, `${files} files`, formatBytes(size), called, task, dtypes?.join(',')]
  await printer.result(
    model,
    columns
      .map((column) => column ?? '')
      .join('  ')
      .trimEnd(),
  )
}
