import type { KuboStore } from '@x/backend-kubo'
import type { CID } from '@x/cid'
import { parseReference, resolveReference } from '@x/model-loader'
import {
  InvalidInputError,
  NotFoundError,
  pull,
  type AbortOptions,
  type ContentStore,
  type PullOptions,
} from '@x/storage-core'

import { canBeWritten, type BackendKind } from './backends/backend-spec.ts'
import type { Backend } from './backends/open-backend.ts'

/**
 * Whether a backend of a kind can know where a reference points, which is known before one is opened.
 *
 * @throws {InvalidInputError} It knows no names, or it is a path.
 */
export function assertReference(kind: BackendKind, reference: string): void {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${reference}: ${why}`, { input: reference })
  }
  const parsed = parseReference(reference)
  if (parsed.kind === 'path') refuse(`that is a path, and ${kind} is asked for`)
  if (parsed.kind === 's3')
    refuse(`that lies in a bucket as plain files, which \`model pull\` brings; ${kind} is asked for`)
  if (parsed.kind === 'ipns' && kind !== 'kubo') refuse(`${kind} resolves no names of IPNS`)
  if ((parsed.kind === 'name' || parsed.kind === 'hub') && !canBeWritten(kind)) {
    refuse(`${kind} has no names; give a CID`)
  }
}

/**
 * What a reference to a model points to on a backend.
 *
 * @param reference - `ipfs://<cid>[/path]`, a CID, `ipns://<name>` for a Kubo daemon, or a name in the backend's store.
 * @throws {NotFoundError} No such name. @throws {InvalidInputError} The backend knows no names, or it is a path.
 */
export async function resolveModel(backend: Backend, reference: string, { signal }: AbortOptions = {}): Promise<CID> {
  assertReference(backend.kind, reference)
  const parsed = parseReference(reference)
  if (parsed.kind === 'ipns' && backend.kubo) return resolveIpns(backend.kubo, parsed.name, { signal })
  try {
    return (await resolveReference(backend.store ?? backend.source, reference, { signal })).cid
  } catch (cause) {
    if (!(cause instanceof NotFoundError) || cause.what !== reference) throw cause
    throw new NotFoundError(reference, { message: `${backend.label} has no model that is named ${reference}`, cause })
  }
}

/** What a name of IPNS points to now. */
export async function resolveIpns(kubo: KuboStore, name: string, options: AbortOptions): Promise<CID> {
  const { cid, path } = await kubo.resolve(name, options)
  return path === '' ? cid : (await kubo.stat(cid, { path, ...options })).cid
}

/**
 * Makes the local store hold a model that a backend has, so that it can be opened by path. It is pinned if the caller
 * says so, else it stays until a collection takes it.
 */
export async function fetchModel(
  store: ContentStore,
  backend: Backend,
  reference: string,
  options: PullOptions = {},
): Promise<CID> {
  const cid = await resolveModel(backend, reference, options)
  await pull(store, backend.source, cid, { pin: false, ...options })
  return cid
}
