import { mkdir, realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { assertRepo, assertRevision } from '@x/hub-client'
import type { AbortOptions } from '@x/storage-core'

import { onDisk } from './disk-error.ts'
import { assertPathsFit, nameFile, type ExportFile } from './export-files.ts'
import { makeDirectory } from './make-directory.ts'
import { placeFile, type PlaceBy, type Placed } from './place-file.ts'
import { assertOutsideRevisions, claimFolder } from './revision-folder.ts'

export interface TransformersExportOptions extends AbortOptions {
  /** `env.cacheDir` of transformers.js, or its `env.localModelPath`. Made where it is missing. */
  directory: string
  /** `org/name` */
  repo: string
  /** What the program asks for. transformers.js keeps `main` beside the others. Default `main`. */
  revision?: string | undefined
  /** Default `reflink`, `hard-link`, `copy`. */
  by?: readonly PlaceBy[] | undefined
  /** Default `hash`. */
  check?: 'hash' | 'none' | undefined
}

/**
 * Lays a model out as transformers.js 4 keeps it on disk, which knows no Hugging Face cache: `org/name/<file>`, and
 * `org/name/<revision>/<file>` for another revision than `main`. Errors as `exportToHubCache`.
 *
 * @throws {InvalidInputError} Files of two revisions would have one place: `main` has a folder that is called like the other.
 * @returns The model's directory, and how many files came to their place in which way.
 */
export async function exportToTransformersCache(
  files: readonly ExportFile[],
  options: TransformersExportOptions,
): Promise<{ folder: string; placed: Record<Placed, number> }> {
  const { repo, revision = 'main', by = ['reflink', 'hard-link', 'copy'], check = 'hash', signal } = options
  signal?.throwIfAborted()
  assertRepo(repo)
  assertRevision(revision)
  const named = files.map((file) => nameFile(file))
  assertPathsFit(
    files.map(({ path }) => path),
    process.platform !== 'win32' && process.platform !== 'darwin',
  )
  const given = resolve(options.directory)
  await onDisk(`make ${given}`, mkdir(given, { recursive: true }))
  const root = await onDisk(`look at ${given}`, realpath(given))
  const folder = await makeDirectory(root, [...repo.split('/'), ...(revision === 'main' ? [] : revision.split('/'))])
  await assertOutsideRevisions(
    folder,
    files.map(({ path }) => path),
  )
  if (revision !== 'main') await claimFolder(folder, revision, root)
  const placed: Record<Placed, number> = { kept: 0, reflink: 0, 'hard-link': 0, copy: 0 }
  for (const file of named) {
    const segments = file.path.split('/')
    const target = join(await makeDirectory(folder, segments.slice(0, -1)), segments.at(-1) ?? '')
    placed[await placeFile(file, target, file.expected, { by, check: check === 'hash', temp: root, signal })] += 1
  }
  return { folder, placed }
}
