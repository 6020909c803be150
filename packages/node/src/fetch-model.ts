import type { KuboStore } from '@x/backend-kubo'
import type { CID } from '@x/cid'
import { parseReference } from '@x/model-loader'
import {
  InvalidInputError,
  NotFoundError,
  pull,
  type AbortOptions,
  type ContentStore,
  type PullOptions,
} from '@x/storage-core'

import type { Backend } from './backends/open-backend.ts'

/**
 * What a reference to a model points to on a backend.
 *
 * @param reference - `ipfs://<cid>`, a CID, `ipns://<name>` for a Kubo daemon, or a name in the backend's store.
 * @throws {NotFoundError} No such name. @throws {InvalidInputError} The backend knows no names, or it is a path.
 */
export async function resolveModel(backend: Backend, reference: string, { signal }: AbortOptions = {}): Promise<CID> {
  const parsed = parseReference(reference)
  if (parsed.kind === 'cid') return parsed.cid
  if (parsed.kind === 'path') {
    throw new InvalidInputError(`${reference} is a path, and ${backend.name} is asked for`, { input: reference })
  }
  if (parsed.kind === 'ipns') {
    if (backend.kubo) return resolveIpns(backend.kubo, parsed.name, { signal })
    throw new InvalidInputError(`${reference}: ${backend.name} resolves no names of IPNS`, { input: reference })
  }
  if (!backend.store) throw new InvalidInputError(`${reference}: ${backend.name} has no names`, { input: reference })
  const record = await backend.store.names.get(parsed.name, { signal })
  if (record) return record.cid
  throw new NotFoundError(reference, { message: `${backend.name} has no model that is named ${reference}` })
}

async function resolveIpns(kubo: KuboStore, name: string, options: AbortOptions): Promise<CID> {
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
