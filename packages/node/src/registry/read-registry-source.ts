import { open } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { KuboStore } from '@x/backend-kubo'
import type { Environment, GateSettings } from '@x/gating'
import { MAX_REGISTRY_BYTES } from '@x/model-loader'
import { BackendError, InvalidInputError, isStorageError, NotFoundError, type AbortOptions } from '@x/storage-core'
import { concatBytes } from '@x/storage-core/backend'

import { codeOf } from '../code-of.ts'
import { readUrl } from './read-url.ts'

export interface RegistrySourceOptions extends AbortOptions {
  /** Resolves names of IPNS. */
  kubo?: KuboStore | undefined
  /** Longest time without progress. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
}

/**
 * The bytes of a registry that was published, as they are: nothing of them is checked but their length, 16 MiB at most.
 *
 * @param source - `https://...`, `http://...`, `ipns://<name>[/path]` with a Kubo daemon, `file:...`, or a path.
 * @throws {InvalidInputError} Another scheme; a name of IPNS, and nobody to resolve it.
 * @throws {NotFoundError} There is nothing.
 * @throws {BackendError} It cannot be read, is too long, or is a web page.
 */
export async function readRegistrySource(source: string, options: RegistrySourceOptions = {}): Promise<Uint8Array> {
  const bytes = await read(source, options)
  // What a proxy or a login says, with status 200.
  if (/^\s*</.test(new TextDecoder().decode(bytes.subarray(0, 100)))) {
    throw new BackendError(`${source}: that is a web page, and no registry`, { retryable: false })
  }
  return bytes
}

/** Of two letters at least: a drive of Windows has one. */
const schemeOf = (source: string): string | undefined => /^([a-z][a-z0-9+.-]+):/i.exec(source)?.[1]?.toLowerCase()

/** What to remember a source by: an address as it is written, of a file its absolute path. */
export function placeOfRegistry(source: string): string {
  const scheme = schemeOf(source)
  if (scheme === undefined) return resolvePath(source)
  return scheme === 'file' ? toPath(source) : source
}

async function read(source: string, options: RegistrySourceOptions): Promise<Uint8Array> {
  switch (schemeOf(source)) {
    case 'http':
    case 'https':
      return readUrl(source, { ...options, maxBytes: MAX_REGISTRY_BYTES })
    case 'ipns':
      return readIpns(source, options)
    case 'file':
      return readLocal(source, toPath(source), options)
    case undefined:
      return readLocal(source, source, options)
    default:
      throw new InvalidInputError(`${source}: a registry is at an http(s):// or ipns:// address, or in a file`, {
        input: source,
      })
  }
}

function toPath(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (cause) {
    throw new InvalidInputError(`${url} is no URL of a file`, { input: url, cause })
  }
}

async function readIpns(source: string, { kubo, signal }: RegistrySourceOptions): Promise<Uint8Array> {
  const [, name, below = ''] = /^ipns:\/\/([^/]+)(?:\/(.*))?$/i.exec(source) ?? []
  if (name === undefined) throw new InvalidInputError(`${source}: that is no name of IPNS`, { input: source })
  if (!kubo) {
    throw new InvalidInputError(`${source} is a name that a Kubo daemon resolves, and none is named`, { input: source })
  }
  const { cid, path } = await kubo.resolve(name, { signal })
  const whole = [path, below].filter((part) => part !== '').join('/')
  return collect(source, kubo.cat(cid, { ...(whole !== '' && { path: whole }), signal }))
}

async function readLocal(source: string, path: string, { signal }: AbortOptions): Promise<Uint8Array> {
  let file
  try {
    file = await open(path)
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') throw new NotFoundError(source, { message: `${source} is not there`, cause })
    throw unreadable(source, cause)
  }
  try {
    if (!(await file.stat()).isFile()) throw new InvalidInputError(`${source} is no file`, { input: source })
    return await collect(source, file.createReadStream({ signal, autoClose: false }))
  } catch (cause) {
    signal?.throwIfAborted()
    if (isStorageError(cause) || codeOf(cause) === undefined) throw cause
    throw unreadable(source, cause)
  } finally {
    await file.close()
  }
}

const unreadable = (source: string, cause: unknown): BackendError =>
  new BackendError(`${source} cannot be read`, { retryable: false, cause })

async function collect(source: string, from: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of from) {
    length += piece.length
    if (length > MAX_REGISTRY_BYTES) {
      throw new BackendError(`${source} is over ${MAX_REGISTRY_BYTES} bytes long`, { retryable: false })
    }
    pieces.push(piece)
  }
  return concatBytes(pieces, length)
}
