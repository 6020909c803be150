import { join } from 'node:path'

import { InvalidInputError, pathSegments, type CID } from '@x/cid'
import { NotFoundError, type GetPathOptions } from '@x/storage-core'

import type { StagedAdd } from './adding/staged-add.ts'
import type { Catalogue } from './catalogue/catalogue.ts'
import type { StoreContext } from './context.ts'
import { eachAtOnce } from './each-at-once.ts'
import { keyOf } from './layout.ts'
import { makeWhole } from './loose-file.ts'
import { namingFile } from './naming.ts'
import type { Quota } from './quota.ts'
import { verifyFile, type ReadParts } from './read-content.ts'
import { listView, type ViewEntry } from './view-tree.ts'
import type { Views } from './views.ts'

export interface PathParts extends ReadParts {
  catalogue: Catalogue
  quota: Quota
  views: Views
  /** For what has to be written as a file of its own first. */
  begin: (lease: string) => StagedAdd
}

/** Looked at at a time; long ones share the threads. */
const FILES_AT_ONCE = 8

/**
 * `getPath` of the port: every leaf below `path` is hashed, then the path of the file, or of a view of the whole root, is
 * given. What else the view shows is linked, not read.
 */
export async function localPath(
  context: StoreContext,
  parts: PathParts,
  root: CID,
  { path = '', verify = 'each-leaf', signal }: GetPathOptions,
): Promise<string> {
  const { held, tree, views } = parts
  /** One in a pack is copied into the view; alone it needs a path of its own. */
  const checkHeld = async (cid: CID, name: string, isAlone: boolean): Promise<void> =>
    namingFile(name, async () => {
      const file = await held.open(cid)
      await file?.close()
      if (!file || (isAlone && !file.isWhole)) await makeWhole(context, parts, tree.getBlock, cid, signal)
    })
  const checkBytes = async (cid: CID, name: string): Promise<void> => {
    if (verify === 'stored' && (await isAsStored(cid))) return
    await verifyFile(parts, { cid, path: name }, { signal })
  }
  const isAsStored = async (cid: CID): Promise<boolean> => {
    const file = await held.open(cid)
    await file?.close()
    return file?.isAsStored === true
  }

  const inside = pathSegments(path).join('/')
  const { entries, leftOut } = await listView(tree, root, { signal })
  const [only] = entries
  if (only?.path === '') {
    if (inside !== '') throw new InvalidInputError(`${root} is a file and has no ${inside}`, { input: path })
    await checkHeld(root, '', true)
    await checkBytes(root, '')
    const file = await held.open(root)
    await file?.close()
    if (!file) throw new NotFoundError(root.toString(), { cid: root })
    parts.onUse(root)
    return file.path
  }
  if (leftOut.some((link) => link.path === '')) {
    throw new InvalidInputError(`${root} is a symlink and has no path on disk`, { input: root.toString() })
  }
  assertShown(root, inside, entries, leftOut)
  const files = entries.filter((entry) => entry.type === 'file')
  await eachAtOnce(distinct(files), FILES_AT_ONCE, ({ cid, path: name }) => checkHeld(cid, name, false))
  const wanted = files.filter(({ path: name }) => inside === '' || name === inside || name.startsWith(`${inside}/`))
  await eachAtOnce(distinct(wanted), FILES_AT_ONCE, ({ cid, path: name }) => checkBytes(cid, name))
  for (const link of leftOut) context.warn(`the view of ${root} leaves out the symlink ${link.path} -> ${link.target}`)
  parts.onUse(root)
  return join(await views.ensure(root, entries, signal), inside)
}

const distinct = (files: readonly ViewEntry[]): Iterable<ViewEntry> =>
  new Map(files.map((file) => [keyOf(file.cid), file])).values()

function assertShown(
  root: CID,
  inside: string,
  entries: readonly ViewEntry[],
  leftOut: readonly { path: string; target: string }[],
): void {
  if (inside === '' || entries.some((entry) => entry.path === inside)) return
  const link = leftOut.find((left) => left.path === inside)
  const why = link ? `: it is a symlink to ${link.target}, which is not inside` : ''
  throw new NotFoundError(`${root}/${inside}`, { cid: root, message: `not found: ${root}/${inside}${why}` })
}
