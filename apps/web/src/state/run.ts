import { signal, type ReadonlySignal, type Signal } from '@preact/signals'
import type { EngineRunOptions, TaskInput, TaskResult } from '@x/infer-web'

import { pageEngine, takeWarnings } from '../engine/page-engine.ts'
import { device } from './device.ts'
import { kept } from './kept.ts'
import { titleOf, type StoredModel } from './models.ts'
import type { RunnableTask } from './runnable.ts'
import { keepRun, type RunOptions } from './runs.ts'

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
  | { kind: 'done'; ran: HowItRan; notes: readonly string[] }

/** What a person wants to know of a run. */
export interface HowItRan {
  /** Of all its inputs: seldom more than one. */
  executionProviders: readonly string[]
  /** `fp32`, `q8`, ... of its sessions. */
  dtype: string
  ms: number
  /** Part of it: until the model was in memory. 0: it was. */
  loadMs: number
}

const current = signal<RunState>({ kind: 'idle' })
export const runState: ReadonlySignal<RunState> = current
let controller: AbortController | undefined

/** Stops what runs: a text at its next token. */
export const stopRun = (): void => controller?.abort()

/** Forgets how the last run ended, as its screen is left. */
export function clearRun(): void {
  stopRun()
  controller = undefined
  current.value = { kind: 'idle' }
}

export interface StartRunOptions<Name extends RunnableTask> {
  /** What the user did, for Provenance: `Search for …`. */
  title: string
  options?: RunOptions | undefined
  /** Of a text that is written, as it comes. */
  onText?: ((piece: string) => void) | undefined
  /** What came of the text is void: it is written anew, as after the GPU was lost. */
  onRestart?: (() => void) | undefined
  model: StoredModel
  /** They run one after another. */
  inputs: readonly TaskInput<Name>[]
}

/**
 * Runs inputs, shows how far it is, and keeps the receipts. One run at a time: another one that goes on is stopped.
 *
 * @returns `undefined`: it failed or was stopped, as `runState` says.
 */
export async function startRun<Name extends RunnableTask>(
  task: Name,
  { title, options = {}, onText, onRestart, model, inputs }: StartRunOptions<Name>,
): Promise<readonly TaskResult<Name>[] | undefined> {
  stopRun()
  const mine = new AbortController()
  controller = mine
  const show = (state: RunState): void => {
    if (controller === mine) current.value = state
  }
  const startMs = performance.now()
  let loadMs = 0
  let phase = 'Opening the model'
  const results: TaskResult<Name>[] = []
  const say = (): void => show({ kind: 'running', phase, done: results.length, of: inputs.length })
  // Of a run that failed or was stopped, or of one that was checked.
  takeWarnings()
  say()
  const providers = providersOf(deviceChoice.value)
  try {
    await pageEngine.load(task, `ipfs://${model.cid}`, {
      providers,
      signal: mine.signal,
      onProgress(event) {
        phase = event.phase === 'opened' ? 'Loading the model' : 'Running'
        if (event.phase === 'loaded') loadMs = performance.now() - startMs
        say()
      },
    })
    phase = 'Running'
    for (const input of inputs) {
      say()
      const asked = { providers, options, signal: mine.signal, onText, onRestart }
      results.push(await pageEngine.run(task, `ipfs://${model.cid}`, input, asked))
    }
    const ran = howItRan(results, { ms: performance.now() - startMs, loadMs })
    show({ kind: 'done', ran, notes: takeWarnings() })
    const receipts = results.map(({ receipt, receiptCid }) => ({ receipt, receiptCid }))
    keepRun({ task, title, model: { cid: model.cid, title: titleOf(model) }, ran, receipts, inputs, options })
    return results
  } catch (error) {
    show(mine.signal.aborted ? { kind: 'stopped' } : { kind: 'failed', error })
    return undefined
  }
}

function providersOf(choice: DeviceChoice): NonNullable<EngineRunOptions['providers']> {
  // A list of one is that one or nothing.
  if (choice !== 'auto') return [choice]
  // What only stands in for a graphics card is slower than WebAssembly.
  return device.value?.webgpu.isFast === true ? 'auto' : ['wasm']
}

function howItRan(results: readonly TaskResult[], times: Pick<HowItRan, 'ms' | 'loadMs'>): HowItRan {
  const receipts = results.map(({ receipt }) => receipt)
  return {
    executionProviders: distinct(receipts.map((receipt) => receipt.executionProvider)),
    dtype: distinct(receipts.flatMap((receipt) => Object.values(receipt.dtype))).join(', '),
    ...times,
  }
}

const distinct = (names: readonly string[]): readonly string[] => [...new Set(names)]
