import { parseCid } from '@x/cid'
import type { Copies } from '@x/node'
import { NotFoundError, type OutboxEntry, type OutboxFilter } from '@x/storage-core'

import { textOption, type Command, type Context, type OptionSpec, type Values } from '../command.ts'
import { noOperands } from '../operands.ts'
import { UsageError } from '../usage-error.ts'
import { AlreadyReportedError } from './verify.ts'

/** Which entries. */
const FILTER: Readonly<Record<string, OptionSpec>> = {
  cid: { type: 'string', metavar: 'CID', help: 'of this root alone' },
  target: { type: 'string', metavar: 'NAME', help: 'of this backend alone, as the configuration calls it' },
}

const NOTES = `What is written goes to the backends of the configuration that have write: what they have not got yet is owed to them, in the
store's directory, whatever becomes of a command. Every command that works on the store brings some of it while it runs.`

export const outboxList: Command = {
  name: 'outbox ls',
  needsStore: true,
  operands: '',
  summary: 'list what is owed to other backends, and why it is not there yet',
  notes: NOTES,
  options: { ...FILTER },
  async run(context, operands, values) {
    noOperands(operands)
    const { outbox } = await copiesOf(context)
    for (const entry of await outbox.list(filterOf(values))) await context.printer.result(toJson(entry), toText(entry))
  },
}

export const outboxRun: Command = {
  name: 'outbox run',
  needsStore: true,
  operands: '',
  summary: 'bring what is owed to other backends, and wait until it is there and was read back',
  notes: `${NOTES}\nWhat was given up is not tried; outbox retry does. The exit code is 1 where something was given up.`,
  options: {},
  async run(context, operands) {
    noOperands(operands)
    const { outbox, drained } = await copiesOf(context)
    const before = await outbox.list({ state: 'waiting' })
    await drained({ signal: context.signal })
    const givenUp = await outbox.list({ state: 'given-up' })
    const done = before.length - givenUp.filter((entry) => before.some((one) => isSame(one, entry))).length
    await context.printer.result(
      { done, givenUp: givenUp.map(toJson) },
      [`${done} done`, ...givenUp.map(toText)].join('\n'),
    )
    if (givenUp.length > 0) throw new AlreadyReportedError(new Error(`${givenUp.length} given up`))
  },
}

export const outboxRetry: Command = {
  name: 'outbox retry',
  needsStore: true,
  operands: '',
  summary: 'try again now what waits or was given up, and wait for it',
  options: { ...FILTER },
  async run(context, operands, values) {
    noOperands(operands)
    const { outbox } = await copiesOf(context)
    await outbox.retry(filterOf(values), Date.now())
    await outboxRun.run(context, operands, values)
  },
}

export const outboxDrop: Command = {
  name: 'outbox drop',
  needsStore: true,
  operands: '',
  summary: 'forget what is owed: it is not brought, and not let go of',
  options: { ...FILTER, all: { type: 'boolean', help: 'everything that is owed' } },
  async run(context, operands, values) {
    noOperands(operands)
    const filter = filterOf(values)
    if (values['all'] !== true && Object.keys(filter).length === 0) {
      throw new UsageError('outbox drop: say what, with --cid or --target, or --all')
    }
    const { outbox } = await copiesOf(context)
    const dropped = await outbox.drop(filter)
    await context.printer.result({ dropped }, `${dropped} dropped`)
  },
}

async function copiesOf({ composed }: Context): Promise<Copies> {
  const { copies } = composed ? await composed() : { copies: undefined }
  if (copies) return copies
  const message =
    'no backend of the configuration gets copies: none has write = "write-through", "write-behind" or "on-pin"'
  throw new NotFoundError('outbox', { message })
}

function filterOf(values: Values): OutboxFilter {
  const [cid, target] = [textOption(values, 'cid'), textOption(values, 'target')]
  return { ...(cid !== undefined && { cid: parseCid(cid) }), ...(target !== undefined && { target }) }
}

const isSame = (one: OutboxEntry, other: OutboxEntry): boolean =>
  one.target === other.target && one.cid.equals(other.cid)

const toJson = ({ cid, ...entry }: OutboxEntry): object => ({
  ...entry,
  cid: cid.toString(),
  dueAt: new Date(entry.dueAt).toISOString(),
})

const toText = ({ cid, target, operation, state, failures, lastError }: OutboxEntry): string => {
  const tries = failures === 0 ? '' : `  ${failures} ${failures === 1 ? 'try' : 'tries'} failed: ${lastError ?? ''}`
  return `${operation}  ${cid.toString()}  ${target}  ${state}${tries}`
}
