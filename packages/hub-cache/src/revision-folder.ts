import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { InvalidInputError } from '@x/cid'

import { ifThere, onDisk } from './disk-error.ts'
import { placeText } from './place-file.ts'

/** Says whose a folder is; there is none in that of `main`. */
const MARKER = '.ipfs-accelerate-revision'

/**
 * Makes a folder a revision's own. Beside the files of `main` a revision that is called like a folder would be that folder.
 *
 * @param temp - As `PlaceOptions.temp`.
 * @throws {InvalidInputError} The folder is another's, or has files and nothing says whose.
 */
export async function claimFolder(folder: string, revision: string, temp: string): Promise<void> {
  const entries = await onDisk(`list ${folder}`, readdir(folder))
  if (entries.length === 0) return placeText(join(folder, MARKER), revision, temp)
  if ((await readMarker(folder)) === revision) return undefined
  throw new InvalidInputError(
    `${folder} is there, and not known to be of revision ${revision}: it may be a folder of another one. Remove it, or lay the model out elsewhere`,
    { input: revision },
  )
}

/**
 * @param paths - Of files, below `folder`.
 * @throws {InvalidInputError} One would be in the folder of a revision, or look like what says whose a folder is.
 */
export async function assertOutsideRevisions(folder: string, paths: readonly string[]): Promise<void> {
  const seen = new Set<string>()
  for (const path of paths) {
    const segments = path.split('/')
    if (segments.at(-1) === MARKER) throw new InvalidInputError(`${path} has a name of ours`, { input: path })
    for (let depth = 1; depth < segments.length; depth++) {
      const inside = segments.slice(0, depth).join('/')
      if (seen.has(inside)) continue
      seen.add(inside)
      const other = await readMarker(join(folder, ...segments.slice(0, depth)))
      if (other === undefined) continue
      throw new InvalidInputError(`${path} would be a file of revision ${other}, which is laid out in ${inside}`, {
        input: path,
      })
    }
  }
}

async function readMarker(folder: string): Promise<string | undefined> {
  const path = join(folder, MARKER)
  const info = await ifThere(`look at ${path}`, lstat(path))
  // No name of a revision is longer.
  if (!info?.isFile() || info.size > 4096) return undefined
  return ifThere(`read ${path}`, readFile(path, 'utf8'))
}
