import { realpath } from 'node:fs/promises'
import { isAbsolute, relative, sep } from 'node:path'

import { profileOf } from '@x/cid'
import { isHiddenName } from '@x/model-loader'
import { pathSource, type Storage } from '@x/node'
import { buildSource, toSourceNode, type AddProgress, type SourceNode } from '@x/storage-core'

import { textOption, type Command, type Context } from '../command.ts'
import { formatBytes, printable } from '../format.ts'
import { UsageError } from '../usage-error.ts'

export const add: Command = {
  name: 'add',
  operands: 'PATH...',
  summary: 'store files and directories, print their CIDs; - is standard input',
  options: {
    profile: { type: 'string', placeholder: 'P', help: 'unixfs-v1-2025 (default), unixfs-v0-2015 or kubo-v1' },
    'only-hash': { type: 'boolean', help: 'compute the CID, store nothing' },
    name: { type: 'string', placeholder: 'N', help: 'a name that shall point to it' },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
  },
  async run(context, paths, values) {
    const name = textOption(values, 'name')
    if (paths.length === 0) throw new UsageError('add: a path is wanted')
    if (name !== undefined && paths.length > 1) throw new UsageError('add: --name takes one path')
    if (name !== undefined && values['only-hash']) throw new UsageError('add: --only-hash stores nothing to name')
    if (name !== undefined && isHiddenName(name)) throw new UsageError(`add: the name ${name} is kept for manifests`)
    const profile = profileOf(textOption(values, 'profile')).name
    for (const path of paths) {
      const source = await sourceOf(context, path)
      const options = {
        profile,
        signal: context.signal,
        onProgress: showProgress(context, path, source.type === 'file' ? source.size : undefined),
      }
      const added = values['only-hash']
        ? await buildSource(source, options)
        : await (await storageOutside(context, path)).add(source, { ...options, name, pin: !values['no-pin'] })
      const { cid, size } = added
      await context.printer.result(
        { path, cid: cid.toString(), size },
        `${cid.toString()}  ${formatBytes(size)}  ${printable(path)}`,
      )
    }
  },
}

/** @throws {UsageError} The store lies in the directory that is added: it would grow with what it takes in. */
async function storageOutside({ storage }: Context, path: string): Promise<Storage> {
  const store = await storage()
  if (path === '-') return store
  const [added, kept] = await Promise.all([realpath(path), realpath(store.directory)])
  const between = relative(added, kept).split(sep)
  const isInside = between[0] !== '..' && !isAbsolute(between.join(sep))
  // What is hidden is not added.
  if (isInside && !between.some((segment) => segment.startsWith('.'))) {
    throw new UsageError(`add: the store ${store.directory} lies in ${path}`)
  }
  return store
}

async function sourceOf({ io }: Context, path: string): Promise<SourceNode> {
  return path === '-' ? toSourceNode(io.stdin) : pathSource(path)
}

/** A bar for what is being added. The total is known for a single file. Bytes. */
export function showProgress({ printer }: Context, label: string, total?: number): (event: AddProgress) => void {
  const bar = printer.progress(label, total)
  return (event) => {
    if (event.type === 'bytes-added') bar.update(event.loaded, event.path || label)
  }
}
