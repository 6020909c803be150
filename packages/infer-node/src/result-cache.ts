import type { Cache } from '@x/cache'
import { decodeDagCbor, encodeDagCbor, type Block } from '@x/cid'
import {
  decodeOutput,
  decodeReceipt,
  encodeLoadKey,
  encodeResultKey,
  isOutputOf,
  type Params,
  type TaskName,
} from '@x/infer-core'
import { isDtype, type ChosenDtype, type Dtype, type OpenedModel } from '@x/model-loader'
import { reasonOf } from '@x/storage-core/backend'

import { installedVersions } from './installed-versions.ts'
import { fieldsOf } from './model-json.ts'
import { operandsOf, type Clock, type RunFacts, type TaskResult } from './task-result.ts'
import type { Versions } from './transformers.ts'

/** A model for one task and dtype, loaded or not. */
export interface KnownModel {
  readonly task: TaskName
  readonly dtype: Dtype | undefined
  readonly model: OpenedModel
  /** Execution providers: the first is tried first, then what comes after it. */
  readonly providers: readonly [string, ...string[]]
  /** Of a run here that read these files, on one of them. */
  numericClassOn: (executionProvider: string, files: readonly string[]) => string
  /** What loading it found out; `undefined` until it was. */
  facts: RunFacts | undefined
}

/** Results that were computed before, under keys that say all that decides them. */
export interface ResultCache {
  /**
   * The result of an input: kept, or from `compute`, which is then kept. Callers who ask for the same meanwhile share it. A model
   * that was loaded before, with what is installed now, is not loaded for a result that is kept.
   *
   * @param compute - Has set `facts` of the model when it resolves.
   */
  result<Name extends TaskName>(
    asked: Asked<Name>,
    compute: (signal: AbortSignal | undefined) => Promise<TaskResult<Name>>,
  ): Promise<TaskResult<Name>>
  /**
   * What is known of the runs of a model without loading it, because it was loaded before. `undefined`: it was not, or
   * something else is installed now.
   */
  factsOf(known: KnownModel): Promise<RunFacts | undefined>
}

interface Asked<Name extends TaskName> {
  task: Name
  known: KnownModel
  inputBlock: Block
  paramsBlock: Block
  params: Params
  started: Clock
  mode: 'use' | 'refresh'
  signal: AbortSignal | undefined
}

const loadKey = ({ model, task, dtype, providers }: KnownModel, versions: Versions): Promise<Block> =>
  encodeLoadKey({ manifest: model.manifestCid, task, dtype: dtype ?? 'auto', providers, ...versions })

/**
 * @param onWarning - Told where what loading found out could not be read or kept; the result is good without it.
 * @param versionsFor - What will run a task on an execution provider. `undefined` where that cannot be told without loading it.
 */
export function createResultCache(
  cache: Cache,
  onWarning: (message: string) => void,
  versionsFor: (executionProvider: string, task: TaskName) => Versions | undefined = installedVersions,
): ResultCache {
  const installed = new Map<string, Versions | undefined>()

  const installedFor = ({ providers: [first], task }: KnownModel): Versions | undefined => {
    const key = `${first} ${task}`
    if (!installed.has(key)) installed.set(key, versionsFor(first, task))
    return installed.get(key)
  }

  const told = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      onWarning(`what is known of a model could not be kept or read: ${reasonOf(error)}`)
      return undefined
    }
  }

  async function factsOf(known: KnownModel): Promise<RunFacts | undefined> {
    const versions = installedFor(known)
    if (versions === undefined) return undefined
    const key = await loadKey(known, versions)
    const hit = await told(() => cache.get(key))
    if (hit?.kind !== 'value') return undefined
    const found = readFacts(decodeDagCbor(hit.blocks[0].bytes))
    return found && { ...versions, ...found, numericClass: known.numericClassOn(found.executionProvider, found.files) }
  }

  async function keepFacts(known: KnownModel, facts: RunFacts): Promise<void> {
    const versions = installedFor(known)
    const isInstalled =
      facts.runtime.version === versions?.runtime.version && facts.library.version === versions.library.version
    // What ran is not what would be looked up.
    if (versions === undefined || !isInstalled) return
    const key = await loadKey(known, versions)
    const { files, executionProvider, dtype } = facts
    const found = { files: [...files], executionProvider, dtype: { ...dtype, files: [...dtype.files] } }
    await told(async () => cache.put(key, await encodeDagCbor(found)))
  }

  async function kept<Name extends TaskName>(
    { task, known, inputBlock, paramsBlock, params, started, mode, signal }: Asked<Name>,
    facts: RunFacts,
    compute: (signal: AbortSignal) => Promise<TaskResult<Name>>,
  ): Promise<TaskResult<Name>> {
    const operands = operandsOf(task, known.model, facts)
    const key = await encodeResultKey({ ...operands, input: inputBlock.cid, params: paramsBlock.cid })
    const answer = await cache.getOrCompute(
      key,
      async (flightSignal) => {
        const { blocks, receipt } = await compute(flightSignal)
        const [input, parameters, output, receiptBlock] = blocks
        if (!input || !parameters || !output || !receiptBlock) throw new TypeError('a result without its blocks')
        // What ran is what the key says, or it is not kept under it.
        const { numericClass = '', tools = [] } = receipt
        const { cid } = await encodeResultKey({ ...receipt, numericClass, tools })
        const value = { block: receiptBlock, linked: [output, parameters, input] }
        return { kind: 'value', value, keep: cid.equals(key.cid) }
      },
      { mode, signal },
    )
    if (answer.kind !== 'value') throw new TypeError('a result that is none was kept')
    const [receiptBlock, outputBlock, ...others] = answer.blocks
    const receipt = decodeReceipt(receiptBlock.bytes)
    const output = outputBlock && decodeOutput(outputBlock.bytes)
    if (!outputBlock || !isOutputOf(task, output)) throw new TypeError(`what was kept is no result of ${task}`)
    return {
      output,
      from: answer.from,
      receipt,
      receiptCid: receiptBlock.cid,
      params,
      dtypeReason: facts.dtype.reason,
      startedAt: started.startedAt,
      durationMs: performance.now() - started.startMs,
      blocks: [inputBlock, paramsBlock, outputBlock, receiptBlock, ...others.slice(2)],
    }
  }

  return {
    factsOf,
    async result(asked, compute) {
      const { known, signal } = asked
      const facts = known.facts ?? (await factsOf(known))
      if (facts) return kept(asked, facts, compute)
      // Only now it is known which key that is.
      const result = await compute(signal)
      if (known.facts) {
        await keepFacts(known, known.facts)
        await kept({ ...asked, mode: 'refresh' }, known.facts, async () => result)
      }
      return result
    },
  }
}

function readFacts(value: unknown): Pick<RunFacts, 'files' | 'executionProvider' | 'dtype'> | undefined {
  const { files, executionProvider, dtype } = fieldsOf(value)
  const chosen = readDtype(dtype)
  if (!Array.isArray(files) || typeof executionProvider !== 'string' || chosen === undefined) return undefined
  return { files: files.map(String), executionProvider, dtype: chosen }
}

function readDtype(value: unknown): ChosenDtype | undefined {
  const { dtype, files, reason } = fieldsOf(value)
  const bySession: ChosenDtype['dtype'] = Object.fromEntries(
    Object.entries(fieldsOf(dtype)).flatMap(([session, name]) => (isDtype(name) ? [[session, name]] : [])),
  )
  return Array.isArray(files) && typeof reason === 'string'
    ? { dtype: bySession, files: files.map(String), reason }
    : undefined
}
