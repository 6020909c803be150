import type { CID } from '@x/cid'
import { resolveReference } from '@x/model-loader'
import { addModel, pathSource } from '@x/node'
import { buildSource, ConflictError, type SourceNode } from '@x/storage-core'

import { withAddProgress } from '../../add-progress.ts'
import { BACKEND, MAX_BYTES, textOption, textOptions, type Command, type Kubo } from '../../command.ts'
import { assertLocal } from '../../local-options.ts'
import { onlyOperand } from '../../operands.ts'
import { kuboOf } from './kubo-of.ts'
import { nameAndVersion } from './name-and-version.ts'
import { printModel } from './print-model.ts'

export const modelAdd: Command = {
  name: 'model add',
  operands: 'DIR',
  summary: 'store a model repository; its CID is the root of the directory',
  options: {
    name: {
      type: 'string',
      metavar: 'ORG/NAME[@V]',
      help: 'a name that shall point to it, or a version of one; registries have ORG/NAME alone',
    },
    parent: { type: 'string', multiple: true, metavar: 'REF', help: 'a stored model that it was made from' },
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
    const parents: CID[] = []
    for (const parent of textOptions(values, 'parent')) {
      parents.push((await resolveReference(store, parent, { signal: context.signal })).cid)
    }
    const { cid, name, version, files, size } = await withAddProgress(context, directory, source, (onProgress) =>
      addModel(store, directory, {
        ...nameAndVersion(textOption(values, 'name')),
        parents,
        pin: !values['no-pin'],
        signal: context.signal,
        onProgress,
      }),
    )
    // It is there and pinned, whatever becomes of the path.
    await printModel(context, {
      cid: cid.toString(),
      name: name ?? null,
      ...(version !== undefined && { version }),
      files,
      size,
    })
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
