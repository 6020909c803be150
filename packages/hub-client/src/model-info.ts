import { BackendError } from '@x/storage-core'

import type { HubContext } from './context.ts'
import { isRecord, textOf, textsOf } from './json-fields.ts'
import { isCommit } from './names.ts'
import { readJson } from './read-json.ts'

/** What the hub says about a model; its words, of which nothing is checked. */
export interface ModelInfo {
  repo: string
  /** 40 hex. */
  commit: string
  lastModified?: Date | undefined
  private: boolean
  /** Whether people have to be let in. */
  gated: boolean
  /** `pipeline_tag`, such as `feature-extraction`. */
  task?: string | undefined
  /** `library_name`. */
  library?: string | undefined
  licence?: string | undefined
  /** Repositories it was made from. */
  baseModels: string[]
  tags: string[]
}

/** The commit that a name stands for now. */
export async function askCommit(
  context: HubContext,
  repo: string,
  revision: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const url = infoUrl(context, repo, revision)
  url.searchParams.set('expand', 'sha')
  const { value } = await readJson(context, url, { repo, revision }, signal)
  return commitOf(context, repo, value)
}

export async function readModelInfo(
  context: HubContext,
  repo: string,
  revision: string,
  signal: AbortSignal | undefined,
): Promise<ModelInfo> {
  const { value } = await readJson(context, infoUrl(context, repo, revision), { repo, revision }, signal)
  const commit = commitOf(context, repo, value)
  const info = isRecord(value) ? value : {}
  const card = isRecord(info['cardData']) ? info['cardData'] : {}
  const modified = new Date(textOf(info['lastModified']) ?? '')
  return {
    repo,
    commit,
    lastModified: Number.isNaN(modified.getTime()) ? undefined : modified,
    private: info['private'] === true,
    gated: info['gated'] !== undefined && info['gated'] !== false,
    task: textOf(info['pipeline_tag']),
    library: textOf(info['library_name']),
    licence: textsOf(card['license'])[0],
    baseModels: textsOf(card['base_model']),
    tags: textsOf(info['tags']),
  }
}

const infoUrl = ({ endpoint }: HubContext, repo: string, revision: string): URL =>
  new URL(`api/models/${repo}/revision/${encodeURIComponent(revision)}`, endpoint.base)

function commitOf({ endpoint }: HubContext, repo: string, value: unknown): string {
  const commit = isRecord(value) ? textOf(value['sha']) : undefined
  if (commit !== undefined && isCommit(commit)) return commit
  throw new BackendError(`${endpoint.label}: it names no commit of ${repo}`, { retryable: false })
}
