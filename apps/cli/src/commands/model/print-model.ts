import type { ManifestSummary, ModelSummary, RegistryName } from '@x/model-loader'

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
  /** It is held, and registries call it so. */
  registryNames?: readonly RegistryName[]
}

export const toLine = ({ cid, name, files, size, facts }: ModelSummary): ModelLine => ({
  cid: cid.toString(),
  name: name ?? null,
  files,
  size,
  ...facts,
})

export async function printModel({ printer }: Context, model: ModelLine): Promise<void> {
  const { cid, name, version, files, size, task, dtypes, registry, registryNames = [] } = model
  const called = name === null ? '' : printable(toName({ name, version }))
  const columns = [`ipfs://${cid}`, `${files} files`, formatBytes(size), called, task, dtypes?.join(',')]
  const further = registryNames.filter((each) => toName(each) !== name)
  for (const each of further) columns.push(`${printable(toName(each))} of registry ${printable(each.registry)}`)
  if (registry !== undefined) columns.push(`not held; of registry ${printable(registry)}`)
  await printer.result(
    model,
    columns
      .map((column) => column ?? '')
      .join('  ')
      .trimEnd(),
  )
}

const toName = ({ name, version }: { name: string; version?: string | undefined }): string =>
  version === undefined ? name : `${name}@${version}`
