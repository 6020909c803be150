import { InvalidInputError } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'

import type { HubContext } from './context.ts'
import { createEndpoint } from './endpoint.ts'
import { askCommit, readModelInfo, type ModelInfo } from './model-info.ts'
import { assertFilePath, assertRepo, assertRevision, isCommit } from './names.ts'
import { readHubFile, type ReadFileOptions, type WantedHubFile } from './read-file.ts'
import type { RetryOptions } from './retry.ts'
import { createSend } from './send.ts'
import { readTree, type HubTreeFile } from './tree.ts'

export interface HubClientOptions {
  /** `http:` or `https:`, with a path or without. There is no default. */
  endpoint: string
  /** Sent to the endpoint's own origin alone. Default: none. */
  token?: string | undefined
  /** Every request is refused with a `GatedError` that names its URL. Default false. */
  offline?: boolean | undefined
  /** Default: the platform's own. */
  fetch?: typeof globalThis.fetch | undefined
  /** Default: none but the platform's. */
  userAgent?: string | undefined
  /** Whether an address that the hub redirects to may be asked. Default: any of the same scheme. */
  allowRedirect?: ((url: URL) => boolean) | undefined
  /** Longest time without anything from the other side. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
  retry?: RetryOptions | undefined
}

export interface TreeOptions extends AbortOptions {
  /** A longer listing is refused. Default 100_000. */
  maxFiles?: number | undefined
}

/** Models of a Hugging Face hub, or of anything that speaks like one. Nothing it gives has been checked. */
export interface HubClient {
  /** The endpoint, for messages. */
  readonly label: string
  /**
   * The commit that a branch, a tag, `refs/pr/N` or a short commit stands for now, 40 hex. A full commit stands for itself,
   * and is not asked for.
   *
   * @param revision - Default `main`.
   * @throws {NotFoundError} No such repository or revision. The cause, a `HubStatusError`, says which.
   * @throws {BackendError} The hub is not there, forbids it, or is none; the model is gated.
   */
  resolve(repo: string, revision?: string, options?: AbortOptions): Promise<string>
  /** What the hub says about a model at a revision, by default `main`. Errors as `resolve`. */
  info(repo: string, revision?: string, options?: AbortOptions): Promise<ModelInfo>
  /** Every file at a commit. Errors as `resolve`, and `BackendError` for a listing that cannot be believed. */
  tree(repo: string, commit: string, options?: TreeOptions): Promise<HubTreeFile[]>
  /** Bytes of a file as they arrive. See `readHubFile`. */
  read(repo: string, commit: string, file: string | WantedHubFile, options?: ReadFileOptions): AsyncIterable<Uint8Array>
}

/**
 * Opens nothing and asks nobody until it is used.
 *
 * @throws {InvalidInputError} The endpoint is no address, or the token cannot be sent in a header.
 */
export function createHubClient(options: HubClientOptions): HubClient {
  const { token, offline = false, userAgent, stallTimeoutMs = 30_000, retry = {}, allowRedirect = () => true } = options
  const endpoint = createEndpoint(options.endpoint)
  if (token !== undefined && !/^[\x21-\x7E]+$/.test(token)) {
    throw new InvalidInputError('the token is empty or has a sign that no token has', { input: 'token' })
  }
  // A bound one: the platform's does not work as a method of something else.
  const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
  const context: HubContext = {
    endpoint,
    hasToken: token !== undefined,
    send: createSend({ endpoint, token, userAgent, offline, fetch, allow: allowRedirect }),
    retry,
    stallTimeoutMs,
  }

  return {
    label: endpoint.label,
    async resolve(repo, revision = 'main', { signal } = {}) {
      signal?.throwIfAborted()
      assertRepo(repo)
      assertRevision(revision)
      return isCommit(revision) ? revision : askCommit(context, repo, revision, signal)
    },
    async info(repo, revision = 'main', { signal } = {}) {
      assertRepo(repo)
      assertRevision(revision)
      return readModelInfo(context, repo, revision, signal)
    },
    async tree(repo, commit, { maxFiles = 100_000, signal } = {}) {
      assertRepo(repo)
      assertCommit(commit)
      return readTree(context, repo, commit, { maxFiles, signal })
    },
    async *read(repo, commit, file, readOptions = {}) {
      const wanted = typeof file === 'string' ? { path: file } : file
      assertRepo(repo)
      assertCommit(commit)
      assertFilePath(wanted.path)
      readOptions.signal?.throwIfAborted()
      yield* readHubFile(context, repo, commit, wanted, readOptions)
    },
  }
}

function assertCommit(commit: string): void {
  if (isCommit(commit)) return
  throw new InvalidInputError(`not a commit: ${JSON.stringify(commit)}; resolve it first`, { input: commit })
}
