import { effect, signal, type ReadonlySignal } from '@preact/signals'

import { worksOffline } from './offline.ts'
import { readModels, type ServedModel } from './read-served.ts'
import { hasToken, serverBase, serverHeaders } from './server-access.ts'

export type ServerState =
  | { kind: 'asking' }
  /** `serve` of this project hosts the page: it is a gateway, too. */
  | { kind: 'there'; models: readonly ServedModel[] }
  /** It answers who shows a token, and was shown none, or none that it knows. */
  | { kind: 'locked'; reason: string }
  /** The page lies on a plain host, which is a normal state. */
  | { kind: 'plain' }
  /** Nobody was asked. */
  | { kind: 'off' }
  /** Whether it serves models could not be found out. */
  | { kind: 'failed'; reason: string }

const current = signal<ServerState>({ kind: 'asking' })
export const server: ReadonlySignal<ServerState> = current

/** Resolves once it is known whether it serves models, and if not why. */
export function serverOnceAsked(): Promise<Exclude<ServerState, { kind: 'asking' }>> {
  const known = Promise.withResolvers<Exclude<ServerState, { kind: 'asking' }>>()
  const forget = effect(() => {
    if (current.value.kind !== 'asking') known.resolve(current.value)
  })
  return known.promise.finally(forget)
}

/** Longest wait for the whole answer, which is short. Milliseconds. */
const TIMEOUT_MS = 15_000

let asked = 0

/** Asks the host of this page whether it is more than that. */
export async function askServer(): Promise<void> {
  const mine = ++asked
  if (worksOffline.value) {
    current.value = { kind: 'off' }
    return
  }
  current.value = { kind: 'asking' }
  const state = await look()
  // Somebody has switched the network off, or asked anew.
  if (mine === asked) current.value = state
}

async function look(): Promise<ServerState> {
  let response: Response
  try {
    response = await fetch(new URL('v1/models', serverBase()), {
      headers: { accept: 'application/json', ...serverHeaders() },
      // Else a token could be led to another place.
      redirect: 'manual',
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
  } catch (error) {
    // Of what went wrong a browser says no more.
    return { kind: 'failed', reason: isTimeout(error) ? TOO_LATE : 'it cannot be reached' }
  }
  try {
    return await stateOf(response)
  } catch (error) {
    return { kind: 'failed', reason: isTimeout(error) ? TOO_LATE : 'what it answered is no list of models' }
  }
}

const TOO_LATE = `it did not answer within ${TIMEOUT_MS / 1000} seconds`
const isTimeout = (error: unknown): boolean => error instanceof DOMException && error.name === 'TimeoutError'

async function stateOf(response: Response): Promise<ServerState> {
  const { status, type } = response
  // A host of files alone sends a page of its own, or says that there is nothing, or that it may not be listed.
  if (status === 404 || status === 405 || status === 410) return { kind: 'plain' }
  if (type === 'opaqueredirect') return { kind: 'failed', reason: 'it redirects the question for its models' }
  if (status === 401)
    return {
      kind: 'locked',
      reason: hasToken.value ? 'it does not know this token' : 'it answers who shows a token',
    }
  if (status === 403)
    return hasToken.value
      ? { kind: 'locked', reason: 'this token is not for its models (scope infer)' }
      : { kind: 'failed', reason: 'it does not let this page ask (403)' }
  if (!response.ok) return { kind: 'failed', reason: `it answered ${status}` }
  if (response.headers.get('content-type')?.startsWith('text/html') === true) return { kind: 'plain' }
  return { kind: 'there', models: readModels(await response.json()) }
}
