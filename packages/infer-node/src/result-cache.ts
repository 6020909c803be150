import { CHANGED_MEANWHILE, type Answer, type Cache, type Computed, type Stored } from '@x/cache'
import { encodeDagCbor, type Block } from '@x/cid'
import {
  BusyError,
  decodeInput,
  decodeLoadFacts,
  decodeOutput,
  decodeReceipt,
  differingParts,
  encodeLoadFacts,
  encodeLoadKey,
  encodeResultKey,
  encodeRunTokens,
  isOutputOf,
  type Params,
  type ResultReceipt,
  type RunName,
  tokensIn,
  voucherIn,
} from '@x/infer-core'
import type { Dtype, OpenedModel } from '@x/model-loader'
import {
  type ChosenGraph,
  type Clock,
  namingInputAgain,
  operandsOf,
  type RunFacts,
  type TaskResult,
} from '@x/pipelines/parts'
import { reasonOf } from '@x/storage-core/backend'

import { isDated } from './dated-template.ts'
import type { Sharer } from './engine/sharers.ts'
import type { GgufVariant } from './gguf/gguf-files.ts'
import { installedVersions } from './installed-versions.ts'
import type { Versions } from './transformers.ts'

/** What loading a model found out, and whether its results are to be kept. */
export interface KnownFacts extends RunFacts {
  /** Why the same input may have another result each time; `undefined`: it has not. */
  random: string | undefined
}

/** A model for one task and dtype, loaded or not. */
export interface KnownModel {
  readonly task: RunName
  readonly dtype: Dtype | GgufVariant | undefined
  /** Which graph, where it is run on raw tensors. */
  readonly graph?: ChosenGraph | undefined
  readonly model: OpenedModel
  /** Execution providers: the first is tried first, then what comes after it. */
  readonly providers: readonly [string, ...string[]]
  /** Of a run here that read these files, on one of them. */
  numericClassOn: (executionProvider: string, files: readonly string[]) => string
  /** What would run it; default: transformers.js and what that runs on. `undefined` where that cannot be told. */
  readonly installed?: (() => Versions | undefined) | undefined
  /** What loading it found out; `undefined` until it was. */
  facts: KnownFacts | undefined
}

/** Results that were computed before, under keys that say all that decides them. */
export interface ResultCache {
  /**
   * The result of an input: kept, or from `compute`, which is then kept. Callers who ask for the same meanwhile share it, and what it
   * fails with, unless another engine or runner computed it, which may be closed; but that one caller has as much as one may have is said
   * to that one alone, and an input is named to each as it gave it. A model
   * that was loaded before, with what is installed now, is not loaded for a result that is kept. Where the cache fails, it is computed.
   *
   * @param compute - Has set `facts` of the model when it resolves. With a sharer it is for all who share it.
   */
  result<Name extends RunName>(
    asked: Asked<Name>,
    compute: (signal: AbortSignal | undefined, sharer?: Sharer) => Promise<TaskResult<Name>>,
  ): Promise<TaskResult<Name>>
  /**
   * What is known of the runs of a model without loading it, because it was loaded before. `undefined`: it was not, or
   * something else is installed now.
   */
  factsOf(known: KnownModel): Promise<KnownFacts | undefined>
}

interface Asked<Name extends RunName> {
  task: Name
  known: KnownModel
  inputBlock: Block
  paramsBlock: Block
  params: Params
  started: Clock
  /** `undefined`: `use`, where the same input has the same result each time. */
  mode: 'use' | 'refresh' | undefined
  /** Whether the computation is watched while it goes on, so that nobody else may share it. */
  isWatched?: boolean | undefined
  /** The input as the caller gave it, for a person. */
  given?: unknown
  /** Who asks. */
  caller?: string | undefined
  /** Notes that this one waits for what is computed under a name, perhaps with others. */
  share?: ((flight: string) => Sharer) | undefined
  signal: AbortSignal | undefined
}

const loadKey = ({ model, task, dtype, graph, providers }: KnownModel, versions: Versions): Promise<Block> =>
  encodeLoadKey({ manifest: model.manifestCid, task, dtype: graph?.file ?? dtype ?? 'auto', providers, ...versions })

/**
 * @param onWarning - Told where the cache fails or is not used; the result is good without it.
 * @param versionsFor - What will run a task on an execution provider. `undefined` where that cannot be told without loading it.
 */
export function createResultCache(
  cache: Cache,
  onWarning: (message: string) => void,
  versionsFor: (executionProvider: string, task: RunName) => Versions | undefined = installedVersions,
): ResultCache {
  const installed = new Map<string, Versions | undefined>()

  const installedFor = ({ providers: [first], task, installed: own }: KnownModel): Versions | undefined => {
    if (own) return own()
    const key = `${first} ${task}`
    if (!installed.has(key)) installed.set(key, versionsFor(first, task))
    return installed.get(key)
  }

  const self = {}
  const toldOf = new WeakSet<KnownModel>()

  const told = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      onWarning(`what is known of a model could not be kept or read: ${reasonOf(error)}`)
      return undefined
    }
  }

  /** What was looked up, by the model as it was opened: what is installed does not change under a program. */
  const lookedUp = new WeakMap<KnownModel, KnownFacts>()
  /** Of these somebody else found out what loading the model finds out. */
  const ofOthers = new WeakSet<KnownFacts>()

  async function factsOf(known: KnownModel): Promise<KnownFacts | undefined> {
    const facts = lookedUp.get(known) ?? (await lookUp(known))
    if (facts) lookedUp.set(known, facts)
    return facts
  }

  async function lookUp(known: KnownModel): Promise<KnownFacts | undefined> {
    const versions = installedFor(known)
    if (versions === undefined) return undefined
    const key = await loadKey(known, versions)
    const hit = await told(() => cache.get(key, { group: GROUPS.models }))
    if (hit?.kind !== 'value') return undefined
    const [block] = hit.blocks
    const found = await told(async () => decodeLoadFacts(block.bytes))
    if (found === undefined) return undefined
    const facts = {
      ...versions,
      ...found,
      numericClass: known.numericClassOn(found.executionProvider, found.files),
    }
    if (!voucherIn(hit.blocks, 'facts')) return facts
    // On another machine it may have been moved to a provider that is not the first here.
    if (found.executionProvider !== known.providers[0]) return undefined
    ofOthers.add(facts)
    return facts
  }

  async function keepFacts(known: KnownModel, facts: KnownFacts): Promise<void> {
    lookedUp.delete(known)
    const versions = installedFor(known)
    const isInstalled =
      facts.runtime.version === versions?.runtime.version && facts.library.version === versions.library.version
    // What ran is not what would be looked up.
    if (versions === undefined || !isInstalled) return
    const key = await loadKey(known, versions)
    await told(async () => cache.put(key, await encodeLoadFacts(facts), { group: GROUPS.models }))
  }

  /** Where a result is not kept although it was to be, and nothing newer is in its place. */
  function sayWhere(stored: Stored | undefined): void {
    if (stored?.why === undefined || stored.why === CHANGED_MEANWHILE) return
    onWarning(`a result is not kept${stored.memory ? ' but in memory' : ''}: ${stored.why}`)
  }

  /** Whether results are kept though nobody asked for that: it is said once where they are not. */
  function isKept({ random }: KnownFacts, { known, mode }: Pick<Asked<RunName>, 'known' | 'mode'>): boolean {
    if (random === undefined || mode !== undefined) return true
    if (!toldOf.has(known)) onWarning(`results of ${known.model.cid} are not kept: ${random}`)
    toldOf.add(known)
    return false
  }

  /** Whether tomorrow it may be another result. Said once. */
  async function isOfToday({ task, known, inputBlock }: Asked<RunName>): Promise<boolean> {
    const isChat = task === 'text-generation' && decodeInput(inputBlock.bytes).kind === 'chat'
    if (!(await isDated(task, isChat, known.model))) return false
    if (!toldOf.has(known))
      onWarning(`results of chats with ${known.model.cid} are not kept: its template writes the day`)
    toldOf.add(known)
    return true
  }

  return {
    factsOf,
    async result(asked, compute) {
      const {
        task,
        known,
        inputBlock,
        paramsBlock,
        params,
        started,
        mode = 'use',
        isWatched,
        given,
        caller,
        signal,
      } = asked
      if (asked.mode === undefined && (await isOfToday(asked))) return compute(signal)
      const facts = known.facts ?? (await factsOf(known))
      if (facts && !isKept(facts, asked)) return compute(signal)
      const operands = facts && {
        ...operandsOf(task, known.model, facts),
        input: inputBlock.cid,
        params: paramsBlock.cid,
      }
      const key = await (operands ? encodeResultKey(operands) : flightKey(asked))
      /** Whether the key is that of the receipt, which is not encoded for that. */
      const isOfKey = (receipt: ResultReceipt): boolean =>
        operands !== undefined && differingParts(operands, receipt).length === 0

      /** What was computed for this call, which need not be read again from its blocks. */
      let own: TaskResult<typeof task> | undefined
      const flight = async (flightSignal: AbortSignal, sharer: Sharer | undefined): Promise<Computed> => {
        const computed = await compute(flightSignal, sharer).catch((cause: unknown) => {
          throw new ComputationError(cause, self)
        })
        own = computed
        const { blocks, receipt, tokens } = computed
        const [input, parameters, output, receiptBlock] = blocks
        if (!input || !parameters || !output || !receiptBlock) throw new TypeError('a result without its blocks')
        const behind = tokens ? [await encodeRunTokens(tokens)] : []
        const value = { block: receiptBlock, linked: [output, parameters, input, ...behind] }
        const isAsKnown = isOfKey(receipt)
        // So that they can be handed on with this result, which is ours.
        if (isAsKnown && known.facts && facts && ofOthers.has(facts)) await keepFacts(known, known.facts)
        if (!isAsKnown && known.facts) {
          // Now it is known what decides the result: it was not before, or it was another thing, as where an execution provider that
          // refused the model runs it now.
          await keepFacts(known, known.facts)
          if (isKept(known.facts, asked)) {
            const ownKey = await keyOf(receipt)
            sayWhere(await told(() => cache.put(ownKey, value, { group: GROUPS.results })))
          }
        }
        // What ran is what the key says, or it is not kept under it.
        return { kind: 'value', value, keep: isAsKnown }
      }

      const read = (answer: Answer): TaskResult<typeof task> => {
        if (answer.kind !== 'value') throw new TypeError('a result that is none was kept')
        const [receiptBlock, outputBlock] = answer.blocks
        const receipt = decodeReceipt(receiptBlock.bytes)
        const output = outputBlock && decodeOutput(outputBlock.bytes)
        if (!outputBlock?.cid.equals(receipt.output)) throw new TypeError('the receipt is of another output')
        if (!isOutputOf(task, output)) throw new TypeError(`it is no result of ${task}`)
        const { dtype } = facts ?? known.facts ?? {}
        if (dtype === undefined) throw new TypeError('a result of a model that was never loaded')
        return {
          output,
          from: answer.from,
          vouchedBy: voucherIn(answer.blocks, 'result'),
          receipt,
          receiptCid: receiptBlock.cid,
          params,
          tokens: tokensIn(answer.blocks),
          dtypeReason: dtype.reason,
          startedAt: started.startedAt,
          durationMs: performance.now() - started.startMs,
          blocks: [inputBlock, paramsBlock, outputBlock, receiptBlock],
        }
      }

      const kept = (answer: Answer): TaskResult<typeof task> => {
        const result = read(answer)
        // The key has the manifest alone, which names the model.
        if (!result.receipt.model.equals(known.model.cid)) throw new TypeError('its receipt is of another model')
        if (isOfKey(result.receipt)) return result
        throw new TypeError('its receipt has another key')
      }

      const sharing = isWatched ? 'alone' : 'shared'
      const options = { flight: sharing, signal, group: GROUPS.results } as const
      for (;;) {
        let isOwn = false
        const ask = async (how: typeof mode): Promise<Answer> => {
          const sharer = isWatched ? undefined : asked.share?.(`${how} ${key.cid}`)
          const ownFlight = (flightSignal: AbortSignal): Promise<Computed> => {
            isOwn = true
            return flight(flightSignal, sharer)
          }
          try {
            const answer = await cache.getOrCompute(key, ownFlight, { ...options, mode: how })
            if (answer.from === 'computed') sayWhere(answer.stored)
            return answer
          } finally {
            sharer?.leave()
          }
        }
        try {
          // Nothing is kept under the key of a flight, and that it is not there counts.
          const answer = await ask(mode)
          if (answer.from === 'computed' && own) return { ...own, durationMs: performance.now() - started.startMs }
          if (answer.from === 'computed' || answer.from === 'joined') return read(answer)
          try {
            return kept(answer)
          } catch (error) {
            onWarning(`what was kept under ${key.cid} is computed again: ${reasonOf(error)}`)
          }
          return read(await ask('refresh'))
        } catch (error) {
          signal?.throwIfAborted()
          if (!(error instanceof ComputationError)) {
            onWarning(`the cache was not used: ${reasonOf(error)}`)
            return compute(signal)
          }
          const { cause } = error
          if (isOwn) throw cause
          // Another caller asked first. That it has as much as it may have says nothing of who joined it, and neither does what another
          // engine or runner failed with, which may be closed: one of them asks now.
          const isOfCaller = cause instanceof BusyError && cause.caller !== undefined && cause.caller !== caller
          if (error.by === self && !isOfCaller) throw namingInputAgain(cause, given)
        }
      }
    },
  }
}

/** What failed is the computation, and not the cache: whoever asked is told of the cause. */
class ComputationError extends Error {
  /** Of which result cache, where several share what keeps their results. */
  readonly by: object
  constructor(cause: unknown, by: object) {
    super('the computation failed', { cause })
    this.by = by
  }
}

/** Under what the cache counts what is kept in it. */
const GROUPS = { results: 'results', models: 'models' } as const

const flights = new WeakMap<KnownModel, number>()
let lastFlight = 0

/** Of a result while it is not known yet what it rests on: those who ask for it meanwhile share it. Nothing is kept under it. */
function flightKey({ known, inputBlock, paramsBlock }: Asked<RunName>): Promise<Block> {
  const flight = flights.get(known) ?? (lastFlight += 1)
  flights.set(known, flight)
  return encodeDagCbor({ flightKey: 1, flight, input: inputBlock.cid, params: paramsBlock.cid })
}

const keyOf = (receipt: ResultReceipt): Promise<Block> => {
  const { numericClass = '', tools = [] } = receipt
  return encodeResultKey({ ...receipt, numericClass, tools })
}
