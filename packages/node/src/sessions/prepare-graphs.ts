import path from 'node:path'

import type { OpenedModel } from '@x/model-loader'
import { UnsupportedError } from '@x/storage-core'

import type { Storage } from '../open-storage.ts'
import { hookSettings, type SettingsInput } from '../transformers/hook-settings.ts'
import { checkedPath } from './checked-path.ts'
import { createDerivedArea, DERIVED } from './derived-area.ts'
import { loadRuntime } from './load-runtime.ts'
import { createSessionPlanner, type SessionPlan } from './session-planner.ts'

/** What ONNX Runtime is to open for a graph, and how, so that its weights are held as was asked. */
export interface PreparedGraph {
  path: string
  /** For `InferenceSession.create`. */
  options: Readonly<Record<string, unknown>>
  /** What that does to the last bits of results. */
  weights: 'prepacked' | 'unpacked'
  /** The weights are mapped from a file, so that threads and processes share them. */
  isMapped: boolean
  mode: SessionPlan['mode']
  why: string
}

export type GraphPreparerOptions = Pick<SettingsInput, 'memory' | 'verify' | 'batch' | 'derivedBytes'> & {
  /** Default `process.env`. */
  environment?: SettingsInput['environment'] | undefined
}

/**
 * Makes what `createEngine` of `@x/infer-node` takes as `prepare`: each graph is opened as `memory` says, from derived files
 * in the store where that takes some. A graph for which that fails is opened as it is; `why` says so.
 *
 * @throws {GatedError} onnxruntime-node is not installed.
 */
export function createGraphPreparer(
  storage: Storage,
  { environment = process.env, ...options }: GraphPreparerOptions = {},
): (model: OpenedModel, file: string) => Promise<PreparedGraph> {
  const { memory, verify, batch, derivedBytes } = hookSettings({ ...options, environment })
  const area = createDerivedArea(path.join(storage.directory, DERIVED))
  const planner = createSessionPlanner({ area, memory, verify, batch, maxBytes: derivedBytes })
  const runtime = loadRuntime()
  return async (model, file) => {
    const original = await checkedPath(model, file, verify)
    if (original === undefined) {
      throw new UnsupportedError(`${model.cid}/${file} has no path: its store is not on a disk`)
    }
    const data = model.files.filter((other) => other.path.startsWith(`${file}_data`))
    for (const other of data) await checkedPath(model, other.path, verify)
    const plan = await planner.plan({ path: original, model, file }, runtime, {})
    const { mode, why } = plan
    return {
      path: plan.path,
      options: plan.options,
      weights: mode === 'mmap' ? 'unpacked' : 'prepacked',
      isMapped: mode !== 'original',
      mode,
      why,
    }
  }
}
