import type { CID } from '@x/cid'
import { isModel, listModels, parseReference, showModel, type ModelSummary } from '@x/model-loader'
import { addModel, assertReference, pathSource, resolveModel } from '@x/node'
import { buildSource, ConflictError, InvalidInputError, NotFoundError, type SourceNode } from '@x/storage-core'

import { withAddProgress } from '../add-progress.ts'
import { BACKEND, MAX_BYTES, textOption, type Command, type Context, type Kubo } from '../command.ts'
import { formatBytes, printable } from '../format.ts'
import { assertLocal } from '../local-options.ts'
import { noOperands, onlyOperand } from '../operands.ts'
import { needsKubo } from '../resolve-root.ts'
import { UsageError } from '../usage-error.ts'

export const modelAdd: Command = {
  name: 'model add',
  operands: 'DIR',
  summary: 'store a model repository; its CID is the root of the directory',
  options: {
    name: { type: 'string', metavar: 'ORG/NAME', help: 'a name that shall point to it' },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
    'to-mfs': { type: 'string', metavar: 'PATH', help: 'show it there too, in the files of the Kubo of --backend' },
    ...MAX_BYTES,
    ...BACKEND,
  },
  async run(context, operands, values) {
    const directory = onlyOperand(operands, 'model directory')
    const toMfs = textOption(values, 'to-mfs')
    assertLocal('model add', values, ['max-bytes'])
    const source = await pathSource(directory, { symlinks: 'follow' })
    const kubo = toMfs === undefined ? undefined : await kuboOf(context, 'model add: --to-mfs')
    if (kubo && toMfs !== undefined) await assertFree(kubo, toMfs, source, context.signal)
    const store = await context.store()
    const { cid, name, files, size } = await withAddProgress(context, directory, source, (onProgress) =>
      addModel(store, directory, {
        name: textOption(values, 'name'),
        pin: !values['no-pin'],
        signal: context.signal,
        onProgress,
      }),
    )
    // It is there and pinned, whatever becomes of the path.
    await printModel(context, { cid: cid.toString(), name: name ?? null, files, size })
    if (kubo && toMfs !== undefined) await showInFiles(kubo, cid, toMfs, context.signal)
  },
}

/** Before much is sent. @throws {ConflictError} Something else is there. */
async function assertFree(kubo: Kubo, path: string, source: SourceNode, signal: AbortSignal): Promise<void> {
  const current = await kubo.mfsStat(path, { signal })
  if (!current) return
  const { cid } = await buildSource(source, { signal })
  if (cid.toString() === current.toString()) return
  throw new ConflictError(`${path} is there already, and is ${current}; nothing was added`, { current })
}

/** What is there already is done. */
async function showInFiles(kubo: Kubo, cid: CID, path: string, signal: AbortSignal): Promise<void> {
  try {
    await kubo.copyToMfs(cid, path, { signal })
  } catch (error) {
    if (!(error instanceof ConflictError) || error.current?.equals(cid) !== true) throw error
  }
}

export const modelPublish: Command = {
  name: 'model publish',
  operands: 'REF --key KEY --backend kubo=URL',
  summary: 'let an IPNS name point to a model that a Kubo daemon holds',
  options: {
    key: { type: 'string', metavar: 'KEY', help: "one of the daemon's keys; made when there is none of that name" },
    ...BACKEND,
  },
  async run(context, operands, values) {
    const { printer, signal } = context
    const reference = onlyOperand(operands, 'model reference')
    const key = textOption(values, 'key')
    if (key === undefined || key === '') throw new UsageError('model publish: --key KEY is wanted')
    const kubo = await kuboOf(context, 'model publish')
    const backend = await context.backend()
    if (!backend) throw new UsageError('model publish: --backend kubo=URL is wanted')
    const cid = await resolveModel(backend, reference, { signal })
    if (!(await kubo.has(cid, { signal })))
      throw new NotFoundError(`${cid}`, { cid, message: `the daemon does not hold all of ${cid}` })
    if (!(await isModel(kubo, cid, { signal })))
      throw new InvalidInputError(`${cid} is no model: a directory with a config.json is one`, { input: reference })
    await ensureKey(kubo, key, signal)
    const name = await kubo.publish(cid, { key, signal })
    await printer.result({ cid: cid.toString(), key, name: `ipns://${name}` }, `ipns://${name}  ->  ipfs://${cid}`)
  },
}

async function ensureKey(kubo: Kubo, wanted: string, signal: AbortSignal): Promise<void> {
  for await (const { name } of kubo.keys({ signal })) if (name === wanted) return
  await kubo.generateKey(wanted, { signal })
}

async function kuboOf({ kubo }: Context, what: string): Promise<Kubo> {
  if (kubo) return kubo()
  throw new UsageError(`${what} needs a Kubo daemon: --backend kubo=URL`)
}

export const modelLs: Command = {
  name: 'model ls',
  needsStore: true,
  operands: '',
  summary: 'list the models that are stored: directories with a config.json',
  options: { ...BACKEND },
  async run(context, operands) {
    noOperands(operands)
    const store = await context.store('list of roots; `model show CID` shows a model')
    for await (const model of listModels(store, { signal: context.signal })) await printModel(context, toLine(model))
  },
}

export const modelShow: Command = {
  name: 'model show',
  needsStore: true,
  operands: 'REF',
  summary: 'one model, by ipfs://<cid>, CID, name, or ipns://<name> with a Kubo daemon',
  options: { ...BACKEND },
  async run(context, operands) {
    const reference = await localReference(context, onlyOperand(operands, 'model reference'))
    const model = await showModel(await context.source(), reference, { signal: context.signal })
    await printModel(context, toLine(model))
  },
}

/** The reference itself, or the CID that a name of IPNS points to. */
async function localReference({ named, backend: open, signal }: Context, reference: string): Promise<string> {
  if (named) assertReference(named.kind, reference)
  if (parseReference(reference).kind !== 'ipns') return reference
  const backend = await open()
  if (!backend) throw needsKubo(reference)
  return `ipfs://${await resolveModel(backend, reference, { signal })}`
}

interface ModelLine {
  cid: string
  name: string | null
  files: number
  size: number
}

const toLine = ({ cid, name, files, size }: ModelSummary): ModelLine => ({
  cid: cid.toString(),
  name: name ?? null,
  files,
  size,
})

async function printModel({ printer }: Context, model: ModelLine): Promise<void> {
  const { cid, name, files, size } = model
  await printer.result(
    model,
    `ipfs://${cid}  ${files} files  ${formatBytes(size)}  ${name === null ? '' : printable(name)}`.trimEnd(),
  )
}
