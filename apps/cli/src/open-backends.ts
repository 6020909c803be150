import { assertMayGoOn, labelOf, openBackend, type Backend, type BackendSpec } from '@x/node'
import { isStorageError } from '@x/storage-core'

import type { Context } from './command.ts'

/** Those that were named, as far as they are there. */
export interface OpenedBackends {
  /** One at least. */
  backends: Backend[]
  /** Those that are not there. */
  failures: { spec: BackendSpec; error: Error }[]
}

/**
 * Opens every backend that was named, and goes on without those that are not there, with a warning.
 *
 * @throws {BackendError} None is there. @throws {GatedError} One that has to be is not.
 */
export async function openBackends(
  { io, storage, keep, printer, signal }: Context,
  specs: readonly BackendSpec[],
): Promise<OpenedBackends> {
  const { environment } = io
  const backends: Backend[] = []
  const failures: OpenedBackends['failures'] = []
  for (const spec of specs) {
    const onWarning = (message: string): void => void printer.warning(message, { of: labelOf(spec) })
    try {
      backends.push(await keep(openBackend(spec, { local: storage, search: true, environment, signal, onWarning })))
    } catch (error) {
      if (!isStorageError(error) || error.code !== 'BACKEND') throw error
      failures.push({ spec, error })
    }
  }
  const kinds = backends.map(({ kind }) => kind)
  for (const { spec, error } of failures) assertMayGoOn({ kind: spec.kind, error }, kinds, { environment })
  const [first, ...others] = failures
  const isNoneLeft = backends.length === 0
  for (const { spec, error } of isNoneLeft ? others : failures) {
    void printer.warning(error.message, { of: labelOf(spec) })
  }
  if (first && isNoneLeft) throw first.error
  return { backends, failures }
}
