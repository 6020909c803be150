import { assertMayGoOn, BACKEND_FORMS, parseBackendSpec, type Backend } from '@x/node'
import { createFailoverSource, pull as pullDag, type ContentSource } from '@x/storage-core'

import { MAX_BYTES, textOptions, type Command, type Context, type Kubo } from '../command.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { nameOption } from '../name-option.ts'
import { noteUse } from '../note-use.ts'
import { openBackends, type OpenedBackends } from '../open-backends.ts'
import { onlyOperand } from '../operands.ts'
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
      help: `where from; a later one stands in for an earlier one: ${BACKEND_FORMS.join(', ')}`,
    },
    name: { type: 'string', metavar: 'N', help: 'a name that shall point to it' },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
    ...MAX_BYTES,
  },
  async run(context, operands, values) {
    const { io, printer, signal } = context
    const text = onlyOperand(operands, 'CID')
    const name = nameOption('pull', values)
    const specs = textOptions(values, 'from').map((from) => parseBackendSpec(from, io.environment))
    if (specs.length === 0) throw new UsageError('pull: --from is wanted')
    let opening: Promise<OpenedBackends> | undefined
    const open = (): Promise<OpenedBackends> => (opening ??= openBackends(context, specs))
    const hasKubo = specs.some(({ kind }) => kind === 'kubo')
    const kubo = hasKubo ? async () => kuboAmong(await open()) : undefined
    const { root, path } = await resolveRoot({ signal, kubo }, text, { option: 'from' })
    if (path !== '') throw new UsageError(`pull: a CID without a path is wanted, not ${text}`)
    const { backends } = await open()
    const store = await context.storage()
    const bar = printer.progress(root.toString(), { unit: 'block' })
    const onProgress = ({ fetched, blocks }: { fetched: number; blocks: number }): void =>
      bar.update({ bytes: fetched, items: blocks })
    const used = new Set<string>()
    const { fetched, blocks } = await pullDag(store, sourceOf(backends, context, used), root, {
      name,
      pin: !values['no-pin'],
      signal,
      onProgress,
    })
    const from = [...used]
    const figures = `fetched ${formatBytes(fetched)}, ${formatCount(blocks, 'block')}`
    await printer.result(
      { cid: root.toString(), name: name ?? null, from, fetched, blocks },
      `${root}  ${figures}${from.length > 0 ? ` from ${from.join(' and ')}` : ''}${name === undefined ? '' : `  ${printable(name)}`}`,
    )
  },
}

/** @throws Why it is not there. */
function kuboAmong({ backends, failures }: OpenedBackends): Kubo {
  const { kubo } = backends.find((backend) => backend.kubo !== undefined) ?? {}
  if (kubo) return kubo
  throw failures.find(({ spec }) => spec.kind === 'kubo')?.error ?? new UsageError('pull: no Kubo daemon was named')
}

/** Several as one, which says when one of them failed. `used` gets the labels of those that blocks came from. */
function sourceOf(backends: readonly Backend[], { io, printer }: Context, used: Set<string>): ContentSource {
  const sources = backends.map(({ source, label }) => noteUse(source, label, () => void used.add(label)))
  const [only, ...more] = sources
  if (only !== undefined && more.length === 0) return only
  const kindOf = new Map(backends.map(({ label, kind }) => [label, kind]))
  return createFailoverSource(sources, {
    onFailover: ({ source, error, left }) => {
      const kind = kindOf.get(source)
      const kinds = left.flatMap((label) => kindOf.get(label) ?? [])
      if (kind) assertMayGoOn({ kind, error }, kinds, { environment: io.environment })
      void printer.warning(error instanceof Error ? error.message : String(error), { of: source })
    },
  })
}
