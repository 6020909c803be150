import type { Signal } from '@preact/signals'

import { kept } from './kept.ts'

/** A download that has begun and has not ended. */
export interface Unfinished {
  /** What is pulled. */
  reference: string
  /** The name that it is to get. */
  name?: string | undefined
  /** Bytes that were here and verified. */
  loaded: number
  total?: number | undefined
}

function readOne(value: unknown): Unfinished[] {
  const { reference, name, loaded, total } = Object(value)
  if (typeof reference !== 'string' || typeof loaded !== 'number') return []
  return [{ reference, loaded, ...(typeof name === 'string' && { name }), ...(typeof total === 'number' && { total }) }]
}

/** So that a page that was closed or killed knows what to go on with. */
export const unfinished: Signal<readonly Unfinished[]> = kept<readonly Unfinished[]>('unfinished', [], (value) =>
  Array.isArray(value) ? value.flatMap(readOne) : undefined,
)

export function noteUnfinished(one: Unfinished): void {
  unfinished.value = [...others(one.reference), one]
}

export function forgetUnfinished(reference: string): void {
  if (unfinished.value.some((one) => one.reference === reference)) unfinished.value = others(reference)
}

const others = (reference: string): Unfinished[] => unfinished.value.filter((one) => one.reference !== reference)

const PREFIX = 'ipfs-accelerate.download '

/** Holds a lock while a download goes on, by which other tabs know. */
export const whileDownloading = <T>(reference: string, work: () => Promise<T>): Promise<T> =>
  // Two tabs may be at the same one: each is at it for as long as it holds the lock.
  navigator.locks.request(`${PREFIX}${reference}`, { mode: 'shared' }, work)

/** Of those that were noted, the ones that no tab is at. */
export async function interrupted(): Promise<readonly Unfinished[]> {
  const { held = [] } = await navigator.locks.query()
  const underWay = new Set(held.map(({ name }) => name))
  return unfinished.value.filter(({ reference }) => !underWay.has(`${PREFIX}${reference}`))
}
