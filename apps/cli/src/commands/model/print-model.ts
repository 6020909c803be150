import type { ManifestSummary, ModelSummary } from '@x/model-loader'

import type { Context } from '../../command.ts'
import { formatBytes, printable } from '../../format.ts'

/** With what its manifest says of it, where it has one. */
export interface ModelLine extends Partial<ManifestSummary> {
  cid: string
  name: string | null
  version?: string | undefined
  files: number
  size: number
  /** It is not held; this registry has it. */
  registry?: string
}

export const toLine = ({ cid, name, files, size, facts }: ModelSummary): ModelLine => ({
  cid: cid.toString(),
  name: name ?? null,
  files,
  size,
  ...facts,
})

export async function printModel({ printer }: Context, model: ModelLine): Promise<void> {
  const { cid, name, version, files, size, task, dtypes, registry } = model
  const called = name === null ? '' : printable(version === undefined ? name : `${name}@${version}`)
  const columns = [`ipfs://${cid}`, `${files} files`, formatBytes(size), called, task, dtypes?.join(',')]
  if (registry !== undefined) columns.push(`not held; of registry ${printable(registry)}`)
  await printer.result(
    model,
    columns
      .map((column) => column ?? '')
      .join('  ')
      .trimEnd(),
  )
}
