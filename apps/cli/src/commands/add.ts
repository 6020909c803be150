import { realpath } from 'node:fs/promises'
import { isAbsolute, relative, sep } from 'node:path'

import { profileOf } from '@x/cid'
import { buildPath, pathSource, type AddMode, type Storage } from '@x/node'
import { buildSource, toSourceNode, type Attempt, type Receipt, type SourceNode } from '@x/storage-core'

import { withAddProgress } from '../add-progress.ts'
import { BACKEND, MAX_BYTES, textOption, type Command, type Context, type Values } from '../command.ts'
import { formatBytes, printable } from '../format.ts'
import { assertLocal } from '../local-options.ts'
import { nameOption } from '../name-option.ts'
import { UsageError } from '../usage-error.ts'

export const add: Command = {
  name: 'add',
  operands: 'PATH...',
  summary: 'store files and directories, print their CIDs; - is standard input',
  options: {
    profile: { type: 'string', metavar: 'P', help: 'unixfs-v1-2025 (default), unixfs-v0-2015 or kubo-v1' },
    'only-hash': { type: 'boolean', help: 'compute the CID, store nothing' },
    name: { type: 'string', metavar: 'N', help: 'a name that shall point to it' },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
    mode: {
      type: 'string',
      metavar: 'M',
      help: 'copy (default), reflink (share the bytes on disk) or reference (see below)',
    },
    ...MAX_BYTES,
    ...BACKEND,
  },
  notes: `With --mode reference, files over 64 KiB are not copied: the store reads each where it is. One that is changed,
moved or deleted afterwards is refused when it is next read.`,
  async run(context, paths, values) {
    const name = nameOption('add', values)
    if (paths.length === 0) throw new UsageError('add: a path is wanted')
    if (name !== undefined && paths.length > 1) throw new UsageError('add: --name takes one path')
    if (values['only-hash']) {
      const idle = ['name', 'mode', 'max-bytes', 'no-pin', 'backend'].find((option) => values[option] !== undefined)
      if (idle !== undefined) throw new UsageError(`add: --only-hash stores nothing, so --${idle} means nothing`)
    }
    const profile = profileOf(textOption(values, 'profile')).name
    const mode = modeOf(values)
    assertLocal('add', values, ['mode', 'max-bytes'])
    if (mode !== 'copy' && paths.includes('-')) throw new UsageError(`add: - has no file for --mode ${mode}`)
    for (const path of paths) {
      const source = await sourceOf(context, path)
      let attempts: readonly Attempt[] = []
      const note = (receipt: Receipt): void => void ({ attempts } = receipt)
      const { cid, size } = await withAddProgress(context, path, source, async (onProgress) => {
        const options = { profile, signal: context.signal, onProgress }
        if (values['only-hash']) return path === '-' ? buildSource(source, options) : buildPath(path, options)
        const adding = { ...options, name, pin: !values['no-pin'], onReceipt: note }
        if (values['backend'] !== undefined) return (await context.store()).add(source, adding)
        const here = await storageOutside(context, path)
        // What is composed hands it on to the store.
        const inMode = { ...adding, mode }
        return (context.composed ? await context.composed() : here).add(source, inMode)
      })
      await context.printer.result(
        { path, cid: cid.toString(), size, ...(context.composed && { attempts }) },
        `${cid.toString()}  ${formatBytes(size)}  ${printable(path)}`,
      )
      for (const { backend, outcome, reason } of attempts) {
        if (outcome !== 'failed' && outcome !== 'owed') continue
        const why = reason === undefined ? '' : `: ${reason}`
        await context.printer.warning(`${cid.toString()} is owed to ${backend}${why}`)
      }
    }
  },
}

/** @throws {UsageError} There is no such mode. */
function modeOf(values: Values): AddMode {
  const text = textOption(values, 'mode') ?? 'copy'
  if (text === 'copy' || text === 'reflink' || text === 'reference') return text
  throw new UsageError(`add: --mode ${text} is none of copy, reflink and reference`)
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
