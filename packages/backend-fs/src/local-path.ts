import { join } from 'node:path'

import { InvalidInputError, pathSegments, type CID } from '@x/cid'
import { NotFoundError, type PathOptions } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import type { FileWriter } from './file-writer.ts'
import type { HeldFiles } from './held-file.ts'
import { keyOf } from './layout.ts'
import { makeWhole } from './loose-file.ts'
import { namingFile } from './naming.ts'
import { readFileBytes } from './read-content.ts'
import type { Tree } from './tree.ts'
import { listView, type ViewEntry } from './view-tree.ts'
import type { Views } from './views.ts'

export interface PathParts {
  held: HeldFiles
  tree: Tree
  views: Views
  writer: FileWriter
}

/**
 * `getPath` of the port: every leaf below `path` is hashed, then the path of the file, or of a view of the whole root, is
 * given. What else the view shows is linked, not read.
 */
export async function localPath(
  context: StoreContext,
  { held, tree, views, writer }: PathParts,
  root: CID,
  { path = '', signal }: PathOptions,
): Promise<string> {
  const checkFile = async (cid: CID, name: string): Promise<void> => {
    await namingFile(name, async () => {
      if (!(await held.outboardOf(cid))) {
        context.assertWritable(`make ${cid} a whole file`)
        await makeWhole(context, writer, tree.getBlock, cid, signal)
      }
    })
  }
  const checkBytes = (cid: CID, name: string): Promise<void> =>
    namingFile(name, async () => {
      for await (const _ of readFileBytes(tree, held, cid, { offset: 0, signal })) signal?.throwIfAborted()
    })

  const inside = pathSegments(path).join('/')
  const { entries, leftOut } = await listView(tree, root, { signal })
  const [only] = entries
  if (only?.path === '') {
    if (inside !== '') throw new InvalidInputError(`${root} is a file and has no ${inside}`, { input: path })
    await checkFile(root, '')
    await checkBytes(root, '')
    return context.layout.fileOf(keyOf(root))
  }
  if (leftOut.some((link) => link.path === '')) {
    throw new InvalidInputError(`${root} is a symlink and has no path on disk`, { input: root.toString() })
  }
  assertShown(root, inside, entries, leftOut)
  const files = entries.filter((entry) => entry.type === 'file')
  for (const { cid, path: name } of files) await checkFile(cid, name)
  const wanted = files.filter(({ path: name }) => inside === '' || name === inside || name.startsWith(`${inside}/`))
  for (const { cid, path: name } of new Map(wanted.map((file) => [keyOf(file.cid), file])).values()) {
    await checkBytes(cid, name)
  }
  for (const link of leftOut) context.warn(`the view of ${root} leaves out the symlink ${link.path} -> ${link.target}`)
  return join(await views.ensure(root, entries, signal), inside)
}

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
