import { isHiddenName } from '@x/model-loader'
import { openBackend, parseBackendSpec, type Backend, type BackendKind } from '@x/node'
import { createFailoverSource, isStorageError, pull as pullDag, type ContentSource } from '@x/storage-core'

import { MAX_BYTES, textOption, textOptions, type Command, type Context, type Values } from '../command.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { noteUse } from '../note-use.ts'
import { onlyOperand } from '../operands.ts'
import type { Printer } from '../printer.ts'
import { resolveRoot } from '../resolve-root.ts'
import { UsageError } from '../usage-error.ts'

export const pull: Command = {
  name: 'pull',
  operands: 'CID --from B [--from B...]',
  summary: 'fetch a whole DAG into the local store, every block checked',
  options: {
    from: {
      type: 'string',
      multiple: true,
      metavar: 'B',
      help: 'where from; a later one stands in for an earlier one',
    },
    name: { type: 'string', metavar: 'N', help: 'a name that shall point to it' },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
    ...MAX_BYTES,
  },
  async run(context, operands, values) {
    const { printer, signal } = context
    const text = onlyOperand(operands, 'CID')
    const name = textOption(values, 'name')
    if (name !== undefined && isHiddenName(name)) throw new UsageError(`pull: the name ${name} is kept for manifests`)
    const { backends, failures } = await openAll(context, values)
    const backend = async (): Promise<Backend | undefined> => {
      const kubo = backends.find((each) => each.kubo !== undefined)
      const failure = failures.find(({ kind }) => kind === 'kubo')
      if (kubo === undefined && failure) throw failure.error
      return kubo
    }
    const { root, path } = await resolveRoot({ signal, backend }, text, { option: 'from' })
    if (path !== '') throw new UsageError(`pull: a CID without a path is wanted, not ${text}`)
    const store = await context.storage()
    const bar = printer.progress(root.toString(), { unit: 'block' })
    const onProgress = ({ fetched, blocks }: { fetched: number; blocks: number }): void =>
      bar.update({ bytes: fetched, items: blocks })
    const used = new Set<Backend>()
    const { fetched, blocks } = await pullDag(store, sourceOf(backends, { printer, used }), root, {
      name,
      pin: !values['no-pin'],
      signal,
      onProgress,
    })
    const from = backends.filter((each) => used.has(each)).map((each) => each.name)
    await printer.result(
      { cid: root.toString(), name: name ?? null, from, fetched, blocks },
      `${root}  fetched ${formatBytes(fetched)}, ${formatCount(blocks, 'block')}${name === undefined ? '' : `  ${printable(name)}`}`,
    )
  },
}

interface Opened {
  /** One at least. */
  backends: Backend[]
  /** Those that are not there. */
  failures: { kind: BackendKind; error: Error }[]
}

async function openAll({ io, storage, keep, printer, signal }: Context, values: Values): Promise<Opened> {
  const specs = textOptions(values, 'from').map((text) => parseBackendSpec(text, io.environment))
  if (specs.length === 0) throw new UsageError('pull: --from is wanted')
  const backends: Backend[] = []
  const failures: Opened['failures'] = []
  const onWarning = (message: string): void => void printer.warning(message)
  for (const spec of specs) {
    const options = { local: storage, search: true, environment: io.environment, signal, onWarning }
    try {
      backends.push(await keep(openBackend(spec, options)))
    } catch (error) {
      if (!isStorageError(error) || error.code !== 'BACKEND') throw error
      failures.push({ kind: spec.kind, error })
    }
  }
  const [first, ...others] = failures
  const isNoneLeft = backends.length === 0
  for (const { error } of isNoneLeft ? others : failures) onWarning(error.message)
  if (first && isNoneLeft) throw first.error
  return { backends, failures }
}

/** Several as one, which says when one of them failed. */
function sourceOf(
  backends: readonly Backend[],
  { printer, used }: { printer: Printer; used: Set<Backend> },
): ContentSource {
  const sources = backends.map((backend) => noteUse(backend.source, () => void used.add(backend)))
  const [only, ...more] = sources
  if (only !== undefined && more.length === 0) return only
  return createFailoverSource(sources, {
    onFailover: ({ source, error }) => {
      const why = error instanceof Error ? error.message : String(error)
      void printer.warning(why, { of: source })
    },
  })
}
