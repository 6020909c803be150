import { createCache, type CacheArea, type Counters, type EntryInfo } from '@x/cache'
import {
  decodeParams,
  decodeResultKey,
  describeKey,
  differingParts,
  kindOfKey,
  toTask,
  voucherIn,
  type KeyPart,
  type ResultKeyParts,
} from '@x/infer-core'
import { createRunner } from '@x/infer-node'
import { isStorageError } from '@x/storage-core'

import { textOption, type Command } from '../../command.ts'
import { formatBytes, formatCount, formatNumber, formatTable, printable, printableJson } from '../../format.ts'
import { ABOUT_POLICY, openTrustedModel, POLICY } from '../../open-trusted-model.ts'
import { noOperands } from '../../operands.ts'
import { PROVIDER, providersOption } from '../../provider-option.ts'
import { resultArea } from '../../results.ts'
import { sayVoucher } from '../../say-voucher.ts'
import { parseTaskInput } from '../../task-operand.ts'
import { DTYPE, dtypeOption, OPTION, taskOptions } from '../../task-options.ts'
import { UsageError } from '../../usage-error.ts'

const RESULT_NOTES = [
  'This is of the results that run keeps in the store, under what decides them; cache ls, import and export are of the Hugging Face',
  'cache. IPFS_ACCELERATE_RESULT_BYTES is how much they may take (1 GiB); what was not used for longest goes first.',
].join('\n')

export const cacheStats: Command = {
  name: 'cache stats',
  needsStore: true,
  operands: '',
  summary: 'how many results of run are kept, how large they are, and how often one was there',
  options: {},
  notes: `${RESULT_NOTES}\nA run also looks up what is known of the model, and with --provider of execution providers: these are counted apart.`,
  async run(context, operands) {
    noOperands(operands)
    const area = await resultArea(context)
    const held = { result: 0, model: 0, provider: 0, other: 0 }
    let oldestMs: number | undefined
    for await (const { keyBytes, storedMs } of area.entries()) {
      const kind = keyBytes === undefined ? 'other' : kindOfKey(keyBytes)
      held[kind] += 1
      if (kind === 'result') oldestMs = Math.min(oldestMs ?? storedMs, storedMs)
    }
    const { directory, entries, bytes, maxBytes, counters, groups } = await area.usage()
    const [results, models] = [lookUpsOf(groups['results']), lookUpsOf(groups['models'])]
    const providers = lookUpsOf(groups['providers'])
    const since = oldestMs === undefined ? '' : `, the oldest of ${timeOf(oldestMs)}`
    const { evicted, damaged } = counters
    await context.printer.result(
      {
        directory,
        entries,
        bytes,
        maxBytes,
        results: { held: held.result, oldest: oldestMs === undefined ? null : timeOf(oldestMs), ...results },
        models: { held: held.model, hits: models.hits, misses: models.misses },
        providers: { held: held.provider, hits: providers.hits, misses: providers.misses },
        evicted,
        damaged,
      },
      [
        `${formatCount(held.result, 'result')}${since}: ${sayLookUps(results)}, computed ${formatNumber(results.computed)}`,
        `what is known of ${formatCount(held.model, 'model')}: ${sayLookUps(models)}`,
        `what is known of ${formatCount(held.provider, 'execution provider')}: ${sayLookUps(providers)}`,
        `evicted ${formatNumber(evicted)}, damaged ${formatNumber(damaged)}`,
        `${formatBytes(bytes)} of ${formatBytes(maxBytes)}  ${printable(directory)}`,
      ].join('\n'),
    )
  },
}

interface LookUps {
  hits: number
  misses: number
  computed: number
}

/** None where nothing was counted. */
const lookUpsOf = (counters: Counters | undefined): LookUps => {
  const { memoryHits = 0, diskHits = 0, misses = 0, computed = 0 } = counters ?? {}
  return { hits: memoryHits + diskHits, misses, computed }
}

const sayLookUps = ({ hits, misses }: LookUps): string =>
  `looked up ${formatCount(hits + misses, 'time')}, ${formatCount(hits, 'hit')}, ${formatNumber(misses)} not there`

export const cacheClear: Command = {
  name: 'cache clear',
  needsStore: true,
  operands: '',
  summary: 'remove every result that run has kept; models stay',
  options: {},
  notes: RESULT_NOTES,
  async run(context, operands) {
    noOperands(operands)
    const area = await resultArea(context)
    const { directory } = await area.usage()
    const { entries, bytes } = await area.clear()
    await context.printer.result(
      { directory, entries, bytes },
      `removed ${formatNumber(entries)} ${entries === 1 ? 'entry' : 'entries'}, ${formatBytes(bytes)}  ${printable(directory)}`,
    )
  },
}

/** Of the entries that are not the one asked for, so many are shown. */
const NEAREST = 3

export const cacheExplain: Command = {
  name: 'cache explain',
  needsStore: true,
  operands: 'TASK INPUT',
  summary: 'what decides a result, whether run has kept it, and in what those that it has differ',
  options: {
    model: { type: 'string', metavar: 'REF', help: 'as for run' },
    dtype: DTYPE,
    option: OPTION,
    ...PROVIDER,
    ...POLICY,
  },
  notes: [
    RESULT_NOTES,
    'Nothing is run; a model that was not run before is loaded, for which files it reads is known only then.',
    ABOUT_POLICY,
  ].join('\n'),
  async run(context, [name, input, ...more], values) {
    const { printer, signal } = context
    const reference = textOption(values, 'model')
    if (name === undefined || input === undefined || more.length > 0) {
      throw new UsageError('cache explain: one task and one input are wanted')
    }
    if (reference === undefined) throw new UsageError('cache explain: --model REF is wanted')
    const task = toTask(name)
    const options = taskOptions(task, values)
    const providers = providersOption(values)
    const model = await openTrustedModel(context, reference, values)
    const area = await resultArea(context)
    // To look is no use, and no hit.
    const cache = createCache({ disk: { ...area, used: () => undefined, count: () => undefined } })
    const onWarning = (message: string): void => void printer.warning(message)
    const runner = createRunner({ cache, providers, onWarning })
    try {
      const { block, parts, paramsBlock } = await runner.explain(task, model, parseTaskInput(task, input), {
        options,
        dtype: dtypeOption(values),
        signal,
      })
      // Read as run reads it: what is damaged is not kept any more.
      const entry = await area.get(block.cid)
      const isThere = entry !== undefined && entry !== 'damaged'
      const { state, disk } = isThere ? await cache.explain(block) : ABSENT
      const vouchedBy =
        isThere && entry.content.kind === 'value' ? voucherIn(entry.content.blocks, 'result') : undefined
      const nearest = state === 'held' ? [] : await nearestOf(area, parts, onWarning)
      const params = decodeParams(paramsBlock.bytes)
      const described = describeKey(parts)
      const receipt = disk?.value?.toString() ?? null
      await printer.result(
        {
          key: block.cid.toString(),
          state,
          receipt,
          vouchedBy: vouchedBy ?? null,
          stored: disk ? timeOf(disk.storedMs) : null,
          expires: disk?.expiresMs === undefined ? null : timeOf(disk.expiresMs),
          bytes: disk?.bytes ?? null,
          model: model.cid.toString(),
          parts: { ...described, params },
          nearest,
        },
        [
          `${block.cid.toString()}  ${sayState(state, disk)}${vouchedBy ? `, signed by ${sayVoucher(vouchedBy)}` : ''}`,
          formatTable([
            ['', 'model', model.cid.toString()],
            ...Object.entries({
              ...described,
              params: `${described.params}  ${printableJson(JSON.stringify(params))}`,
            }).map(([part, text]) => ['', part, printable(text)]),
          ]),
          ...nearest.flatMap(({ receipt: other, stored, differs }) => [
            `kept is ${other}, since ${stored}, which differs in`,
            formatTable(
              Object.entries(differs).map(([part, { asked, held }]) => ['', part, printable(`${held}, not ${asked}`)]),
            ),
          ]),
        ].join('\n'),
      )
    } finally {
      await runner.close()
    }
  },
}

const ABSENT = { state: 'absent', disk: undefined } as const

const timeOf = (ms: number): string => new Date(ms).toISOString()

function sayState(state: 'held' | 'expired' | 'absent', info: EntryInfo | undefined): string {
  if (info === undefined || state === 'absent') return 'not kept'
  const until = info.expiresMs === undefined ? '' : `, until ${timeOf(info.expiresMs)}`
  return `${state === 'held' ? 'kept' : 'expired'}, since ${timeOf(info.storedMs)}${until}: receipt ${info.value?.toString() ?? 'none'}`
}

interface Near {
  receipt: string
  key: string
  stored: string
  differs: Partial<Record<KeyPart, { asked: string; held: string }>>
}

/** Results of the same model or the same input, those that differ in least first, of these the newest. */
async function nearestOf(
  area: CacheArea,
  asked: ResultKeyParts,
  onWarning: (message: string) => void,
): Promise<Near[]> {
  let unread = 0
  let best: { info: EntryInfo; parts: ResultKeyParts; differing: KeyPart[] }[] = []
  for await (const info of area.entries()) {
    if (info.keyBytes === undefined || kindOfKey(info.keyBytes) !== 'result') continue
    const parts = await partsOf(info.keyBytes)
    if (!parts) unread += 1
    if (!parts || !(parts.manifest.equals(asked.manifest) || parts.input.equals(asked.input))) continue
    const differing = differingParts(asked, parts)
    if (differing.length === 0) continue
    best.push({ info, parts, differing })
    best.sort((a, b) => a.differing.length - b.differing.length || b.info.storedMs - a.info.storedMs)
    best = best.slice(0, NEAREST)
  }
  if (unread > 0)
    onWarning(`${formatCount(unread, 'result')} could not be compared: this version cannot read what decides them`)
  const mine = describeKey(asked)
  return Promise.all(
    best.map(async ({ info, parts, differing }) => {
      const theirs = describeKey(parts)
      return {
        receipt: info.value?.toString() ?? '',
        key: info.key.toString(),
        stored: timeOf(info.storedMs),
        differs: Object.fromEntries(differing.map((part) => [part, { asked: mine[part], held: theirs[part] }])),
      }
    }),
  )
}

/** `undefined`: of another version, or of none. */
async function partsOf(keyBytes: Uint8Array): Promise<ResultKeyParts | undefined> {
  try {
    return await decodeResultKey(keyBytes)
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}
