import { signal, type ReadonlySignal } from '@preact/signals'

import { worksOffline } from './offline.ts'
import { readModels, type ServedModel } from './read-served.ts'

export type ServerState =
  | { kind: 'asking' }
  /** `serve` of this project hosts the page: it is a gateway, too. */
  | { kind: 'there'; models: readonly ServedModel[] }
  /** The page lies on a plain host, which is a normal state. */
  | { kind: 'none'; reason: string }

const current = signal<ServerState>({ kind: 'asking' })
export const server: ReadonlySignal<ServerState> = current

let asked = 0

/** Asks the host of this page whether it is more than that. */
export async function askServer(): Promise<void> {
  const mine = ++asked
  if (worksOffline.value) {
    current.value = { kind: 'none', reason: 'not asked: you are working offline' }
    return
  }
  current.value = { kind: 'asking' }
  const state = await look()
  // Somebody has switched the network off, or asked anew.
  if (mine === asked) current.value = state
}

async function look(): Promise<ServerState> {
  try {
    const response = await fetch(new URL('/v1/models', location.href), { headers: { accept: 'application/json' } })
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    return { kind: 'there', models: readModels(await response.json()) }
  } catch (error) {
    return { kind: 'none', reason: error instanceof Error ? error.message : String(error) }
  }
}
