import type { CID } from '@x/cid'
import { IntegrityError, isStorageError, type RootRecord } from '@x/storage-core'

import { BACKEND, type Command, type Context } from '../command.ts'
import { contentBar } from '../content-bar.ts'
import { formatBytes, printable } from '../format.ts'
import { onlyOperand } from '../operands.ts'
import { reportError } from '../report-error.ts'
import { resolveRoot } from '../resolve-root.ts'
import { UsageError } from '../usage-error.ts'

export const verify: Command = {
  name: 'verify',
  needsStore: true,
  operands: '[CID[/path]]',
  summary: 're-hash one root, or everything that is stored',
  options: { all: { type: 'boolean', help: 'every root; so it does without a CID' }, ...BACKEND },
  async run(context, operands, values) {
    if (operands.length > 0) {
      if (values['all']) throw new UsageError('verify: --all takes no CID')
      const { root, path } = await resolveRoot(context, onlyOperand(operands, 'CID'))
      const bar = await contentBar(context, root, { label: root.toString(), path })
      await verifyOne(context, root, path, (bytes) => bar.update({ bytes }))
      return
    }
    const store = await context.store('list of roots; give a CID')
    const roots: RootRecord[] = []
    for await (const root of store.roots({ signal: context.signal })) roots.push(root)
    const total = { bytes: roots.reduce((sum, { size }) => sum + size, 0), items: roots.length }
    const bar = context.printer.progress('', { total, unit: 'root' })
    const failures: Error[] = []
    let before = 0
    for (const [items, { cid, size }] of roots.entries()) {
      const label = cid.toString()
      try {
        await verifyOne(context, cid, '', (checked) => bar.update({ bytes: before + checked, items, label }))
      } catch (error) {
        context.signal.throwIfAborted()
        // One damaged root does not hide the next; the last failure decides the exit code when none is about integrity.
        if (!isStorageError(error)) throw error
        failures.push(error)
        await context.printer.error(reportError(error, context.signal))
      }
      before += size
    }
    const worst = failures.find((error) => isStorageError(error) && error.code === 'INTEGRITY') ?? failures.at(-1)
    if (worst) throw new AlreadyReportedError(worst)
  },
}

async function verifyOne(
  { printer, signal, source }: Context,
  root: CID,
  path: string,
  onProgress: (checked: number) => void,
): Promise<void> {
  const from = await source()
  const checked = await from.verify(root, { path, signal, onProgress }).catch((error: unknown) => {
    throw inRoot(error, root)
  })
  await printer.result(
    { cid: root.toString(), ...(path !== '' && { path }), ok: true, checked },
    `${root}${path && `/${printable(path)}`}  ok  ${formatBytes(checked)}`,
  )
}

/** Damage is reported under the root that was asked for; the leaf's own CID stands in the message. */
function inRoot(error: unknown, root: CID): unknown {
  if (!(error instanceof IntegrityError)) return error
  const { message, actual, file, offset } = error
  return new IntegrityError(`${root.toString()}: ${message}`, { cid: root, actual, file, offset, cause: error })
}

/** Decides the exit code and prints nothing more. */
export class AlreadyReportedError extends Error {
  override readonly name = 'AlreadyReportedError'
  constructor(cause: Error) {
    super(cause.message, { cause })
  }
}
