import type { CID } from '@x/cid'
import { openMemoryStore, pull, type ContentSource, type ContentStore, type PullResult } from '@x/storage-core'
import { expect, onTestFinished, vi } from 'vitest'

import {
  startFaultyProxy,
  type ChooseFault,
  type Fault,
  type FaultyProxy,
} from '../../../tooling/faults/faulty-proxy.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { collect, directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import type { GatewayEvent } from '../src/events.ts'
import { openGatewaySource, type GatewaySourceOptions } from '../src/open-gateway-source.ts'
import { openKuboOrigin } from './kubo-origin.ts'

export const MIB: number = 1024 * 1024

interface Model {
  root: CID
  size: number
  weights: Uint8Array
}

const added = new WeakMap<KuboNode, Map<number, Promise<Model>>>()

/** A model in small: a directory with a file of 8 leaves and two short ones. To a daemon that has it, it is not added again. */
export async function addModel(kubo: KuboNode, seed: number): Promise<Model> {
  const models = added.get(kubo) ?? new Map<number, Promise<Model>>()
  added.set(kubo, models)
  const model = models.get(seed) ?? addNewModel(kubo, seed)
  models.set(seed, model)
  return model
}

async function addNewModel(kubo: KuboNode, seed: number): Promise<Model> {
  const origin = await openKuboOrigin(kubo)
  const weights = sampleBytes(seed, 8 * MIB)
  const files = {
    'config.json': sampleBytes(seed + 1, 700),
    'tokenizer.json': sampleBytes(seed + 2, 300_000),
    'weights.onnx': weights,
  }
  const { cid, size } = await origin.add(directoryOf(files))
  return { root: cid, size, weights }
}

/** A gateway behind something that breaks it. */
export async function proxyTo(kubo: KuboNode, fault?: FaultyProxy['fault']): Promise<FaultyProxy> {
  const proxy = await startFaultyProxy({ target: kubo.gateway, fault })
  onTestFinished(() => proxy.close())
  return proxy
}

/** A fault of all but the probe by which a gateway is known from other servers. */
export const exceptProbe =
  (fault: Fault): ChooseFault =>
  ({ url }) =>
    url.includes('/bafkqaaa?') ? { type: 'none' } : fault

/** Whether such a fault ends with a stall, for which a test need not wait long. */
export const waitsForIt = ({ type }: Fault): boolean => type === 'hang' || type === 'stall' || type === 'slow'

/** What nobody is meant to wait for: on a busy machine an answer may take its time. Less than a test may take as a whole. */
export const PATIENT = { stallTimeoutMs: 60_000, hedgeAfterMs: 60_000 } as const

/**
 * For tests in which a time must pass, but something come before it. It goes on by 20 ms at a turn of this process, however long
 * that took: while a busy machine runs something else it stands still, and a server in this process has its turns before much of
 * it is over. `vi.advanceTimersByTime` makes more of it pass at once.
 */
export function useOwnTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'], shouldAdvanceTime: true })
  onTestFinished(() => void vi.useRealTimers())
}

/** For tests in which none is tried against another for being slow: a busy machine makes each of them so. */
export function measureNoSpeed(): void {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
}

/** Patient, but for what is asked again; what happened is in `events`. */
export async function openTestSource(
  gateways: GatewaySourceOptions['gateways'],
  options: Partial<GatewaySourceOptions> = {},
): Promise<{ source: ContentSource; events: GatewayEvent[] }> {
  const events: GatewayEvent[] = []
  const onEvent = (event: GatewayEvent): void => void events.push(event)
  const source = await openGatewaySource({ gateways, backoffMs: 5, tries: 3, ...PATIENT, onEvent, ...options })
  onTestFinished(() => source.close())
  return { source, events }
}

/** Pulls into an empty store, which it looks into when that fails. */
export async function pullIntoNew(source: ContentSource, root: CID): Promise<PullResult & { into: ContentStore }> {
  const into = await openMemoryStore()
  onTestFinished(() => into.close())
  try {
    return { ...(await pull(into, source, root, { name: 'model' })), into }
  } catch (error) {
    expect(await collect(into.roots())).toEqual([])
    expect(await collect(into.names.list())).toEqual([])
    expect(await into.has(root)).toBe(false)
    throw error
  }
}

export const typesOf = (events: readonly GatewayEvent[]): string[] => events.map(({ type }) => type)
