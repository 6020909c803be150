import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'

/** The files of the embedded model, by path. */
export async function embeddedModel(): Promise<Record<string, Uint8Array>> {
  const folder = fileURLToPath(modelDirectory)
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const read = files.map(async (file): Promise<[string, Uint8Array]> => [
    relative(folder, file).replaceAll(sep, '/'),
    new Uint8Array(await readFile(file)),
  ])
  return Object.fromEntries(await Promise.all(read))
}
