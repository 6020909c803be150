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
import { isDtype, type ChosenDtype } from '@x/model-loader'
import { reasonOf } from '@x/storage-core/backend'

import { installedVersions } from '../installed-versions.ts'
import { fieldsOf } from '../model-json.ts'
import { operandsOf, type Clock, type RunFacts, type TaskResult } from '../task-result.ts'
import type { Residence } from './residence.ts'

/** Results that were computed before, under keys that say all that decides them. */
export interface ResultCache {
  /**
   * What is known of the runs of a model without loading it, because it was loaded before. `undefined`: it was not, or
   * something else is installed now.
   */
  factsOf(residence: Residence): Promise<RunFacts | undefined>
  /** Notes what loading it found out. */
  keepFacts(residence: Residence, facts: RunFacts): Promise<void>
  /** The result of an input: kept, or from `compute`, which is then kept. Callers who ask for the same meanwhile share it. */
  result<Name extends TaskName>(
    asked: Asked<Name>,
    compute: (signal: AbortSignal) => Promise<TaskResult<Name>>,
  ): Promise<TaskResult<Name>>
}

interface Asked<Name extends TaskName> {
  task: Name
  residence: Residence
  facts: RunFacts
  inputBlock: Block
  paramsBlock: Block
  params: Params
  started: Clock
  mode: 'use' | 'refresh'
  signal: AbortSignal | undefined
}

/** @param onWarning - Told where what loading found out could not be read or kept; the result is good without it. */
export function createResultCache(cache: Cache, onWarning: (message: string) => void): ResultCache {
  const installed = installedVersions()

  const loadKey = ({ model, task, dtype }: Residence): Promise<Block> | undefined =>
    installed && encodeLoadKey({ manifest: model.manifestCid, task, dtype: dtype ?? 'auto', ...installed })

  const told = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      onWarning(`what is known of a model could not be kept or read: ${reasonOf(error)}`)
      return undefined
    }
  }

  return {
    async factsOf(residence) {
      const key = await loadKey(residence)
      if (key === undefined || installed === undefined) return undefined
      const hit = await told(() => cache.get(key))
      if (hit?.kind !== 'value') return undefined
      const found = readFacts(decodeDagCbor(hit.blocks[0].bytes))
      return found && { ...installed, ...found, numericClass: residence.numericClass }
    },
    async keepFacts(residence, facts) {
      const key = await loadKey(residence)
      const isInstalled =
        facts.runtime.version === installed?.runtime.version && facts.library.version === installed.library.version
      // What ran is not what would be looked up.
      if (key === undefined || !isInstalled) return
      const { files, executionProvider, dtype } = facts
      const found = { files: [...files], executionProvider, dtype: { ...dtype, files: [...dtype.files] } }
      await told(async () => cache.put(key, await encodeDagCbor(found)))
    },
    async result({ task, residence, facts, inputBlock, paramsBlock, params, started, mode, signal }, compute) {
      const operands = operandsOf(task, residence.model, facts)
      const key = await encodeResultKey({ ...operands, input: inputBlock.cid, params: paramsBlock.cid })
      const answer = await cache.getOrCompute(
        key,
        async (flightSignal) => {
          const { blocks, receipt } = await compute(flightSignal)
          const [input, parameters, output, receiptBlock] = blocks
          if (!input || !parameters || !output || !receiptBlock) throw new TypeError('a result without its blocks')
          // What ran is what the key says, or it is not kept under it.
          const { numericClass = '' } = receipt
          const { cid } = await encodeResultKey({ ...receipt, numericClass })
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
