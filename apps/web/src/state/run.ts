import { signal, type ReadonlySignal, type Signal } from '@preact/signals'
import type { TaskName } from '@x/infer-core'

import { ProviderError, runInputs, type RunInputsOptions } from '../engine/run-inputs.ts'
import type { LoadFacts, Provider, RunResult } from '../engine/run-types.ts'
import { device } from './device.ts'
import { kept } from './kept.ts'
import { titleOf, type StoredModel } from './models.ts'
import { keepRun, type KeptRun } from './runs.ts'

export const DEVICES = ['auto', 'webgpu', 'wasm'] as const
export type DeviceChoice = (typeof DEVICES)[number]

/** On what models are to run. `auto`: the graphics card where there is a real one, else the processor. */
export const deviceChoice: Signal<DeviceChoice> = kept<DeviceChoice>('device', 'auto', (value) =>
  DEVICES.find((name) => name === value),
)

export type RunState =
  | { kind: 'idle' }
  | { kind: 'running'; phase: string; done: number; of: number }
  | { kind: 'failed'; error: unknown }
  | { kind: 'stopped' }
  | { kind: 'done'; facts: LoadFacts; ms: number; note: string | undefined }

const current = signal<RunState>({ kind: 'idle' })
export const runState: ReadonlySignal<RunState> = current
let controller: AbortController | undefined

/** Stops what runs. */
export const stopRun = (): void => controller?.abort()

/** Forgets how the last run ended, as its screen is left. */
export function clearRun(): void {
  stopRun()
  current.value = { kind: 'idle' }
}

const PHASES = { opening: 'Opening the model', loading: 'Loading the model', running: 'Running' } as const

export interface StartRunOptions extends Pick<RunInputsOptions, 'options' | 'onText'> {
  /** What the user did, for Provenance: `Search for …`. */
  title: string
}

/**
 * Runs inputs, shows how far it is, and keeps the receipts. One run at a time: another one that goes on is stopped.
 *
 * @returns `undefined`: it failed or was stopped, as `runState` says.
 */
export async function startRun(
  task: TaskName,
  model: StoredModel,
  inputs: KeptRun['inputs'],
  { title, options, onText }: StartRunOptions,
): Promise<readonly RunResult[] | undefined> {
  stopRun()
  const mine = new AbortController()
  controller = mine
  const startMs = performance.now()
  const show = (state: RunState): void => {
    if (controller === mine) current.value = state
  }
  let phase = 'Starting'
  let done = 0
  const say = (): void => show({ kind: 'running', phase, done, of: inputs.length })
  say()
  const on = (provider: Provider) =>
    runInputs(task, model.cid, inputs, {
      provider,
      options,
      signal: mine.signal,
      onText,
      onPhase(next) {
        phase = PHASES[next]
        say()
      },
      onResult() {
        done += 1
        say()
      },
    })
  try {
    const { facts, results, note } = await climb(on)
    const ms = performance.now() - startMs
    show({ kind: 'done', facts, ms, note })
    keepRun({
      task,
      title,
      model: { cid: model.cid, title: titleOf(model) },
      facts,
      results,
      inputs,
      options: options ?? {},
    })
    return results
  } catch (error) {
    show(mine.signal.aborted ? { kind: 'stopped' } : { kind: 'failed', error: causeOf(error) })
    return undefined
  }
}

const causeOf = (error: unknown): unknown => (error instanceof ProviderError ? error.cause : error)

/** From the graphics card to the processor, where nobody said which: with the reason why it is not the first. */
async function climb<T extends object>(
  on: (provider: Provider) => Promise<T>,
): Promise<T & { note: string | undefined }> {
  const choice = deviceChoice.value
  if (choice !== 'auto') return { ...(await on(choice)), note: undefined }
  if (device.value?.webgpu.isFast !== true) return { ...(await on('wasm')), note: undefined }
  try {
    return { ...(await on('webgpu')), note: undefined }
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    const why = error.cause instanceof Error ? error.cause.message : String(error.cause)
    return { ...(await on('wasm')), note: `It ran on the processor, because WebGPU refused it: ${why}` }
  }
}
