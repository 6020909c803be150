import type { CID } from '@x/cid'
import { IntegrityError, isStorageError } from '@x/storage-core'

import type { Command, Context } from '../command.ts'
import { formatBytes } from '../format.ts'
import { onlyOperand, parseCidPath } from '../operands.ts'
import { reportError } from '../report-error.ts'

export const verify: Command = {
  name: 'verify',
  reads: true,
  operands: '[CID]',
  summary: 're-hash one root, or everything that is stored',
  options: {},
  async run(context, operands) {
    if (operands.length > 0) {
      const { root, path } = parseCidPath(onlyOperand(operands, 'CID'))
      await verifyOne(context, root, path)
      return
    }
    const failures: Error[] = []
    for await (const { cid, size } of (await context.storage()).roots({ signal: context.signal })) {
      try {
        await verifyOne(context, cid, '', size)
      } catch (error) {
        context.signal.throwIfAborted()
        // One damaged root does not hide the next; the last failure decides the exit code when none is about integrity.
        if (!isStorageError(error)) throw error
        failures.push(error)
        await context.printer.error(reportError(error, context.signal))
      }
    }
    const worst = failures.find((error) => isStorageError(error) && error.code === 'INTEGRITY') ?? failures.at(-1)
    if (worst) throw new AlreadyReportedError(worst)
  },
}

async function verifyOne(
  { printer, signal, storage }: Context,
  root: CID,
  path: string,
  total?: number,
): Promise<void> {
  const store = await storage()
  const bar = printer.progress(root.toString(), total)
  const onProgress = (bytes: number): void => bar.update(bytes)
  const checked = await store.verify(root, { path, signal, onProgress }).catch((error: unknown) => {
    throw inRoot(error, root)
  })
  await printer.result({ cid: root.toString(), ok: true, checked }, `${root.toString()}  ok  ${formatBytes(checked)}`)
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
