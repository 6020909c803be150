import type { CID } from '@x/cid'

export interface ProviderStatus {
  name: string
  /** Files that its models gave. */
  hits: number
  /** Files that its models lack, and repositories that it does not have. */
  misses: number
  /** Of the files that were given, those given by path included. */
  bytes: number
  /** How often it could not tell, and why the last time. */
  errors: number
  lastError?: string | undefined
}

export interface OpenedFor {
  repo: string
  /** `undefined`: any. */
  revision: string | undefined
  cid: CID
  provider: string
}

/** A request that went on to the library, or was refused. */
export interface Unmet {
  url: string
  why: string
}

/** What a binding was asked for so far. */
export interface BindingStatus {
  hits: number
  misses: number
  bytes: number
  /** In the order in which they are asked; registered models are `registered`. */
  sources: ProviderStatus[]
  /** What answers for which repository. */
  models: OpenedFor[]
  /** Requests that went on to the library's own cache or fetch; the last 100. */
  fallbacks: (Unmet & { to: 'cache' | 'fetch' })[]
  fallbackCount: number
  /** Requests that were refused; the last 100. */
  refused: Unmet[]
  refusedCount: number
}

export interface BindingReport {
  opened(provider: string, model: Omit<OpenedFor, 'provider'>): void
  missed(provider: string): void
  failed(provider: string, error: unknown): void
  given(provider: string | undefined, bytes: number): void
  lacked(provider: string | undefined): void
  passedOn(url: string, to: 'cache' | 'fetch', why: string): void
  refused(url: string, why: string): void
  read(): BindingStatus
}

const REGISTERED = 'registered'
const KEPT = 100

function keep<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > KEPT) list.shift()
}

export function createBindingReport(names: readonly string[]): BindingReport {
  const sources = new Map<string, ProviderStatus>()
  const models: OpenedFor[] = []
  const fallbacks: BindingStatus['fallbacks'] = []
  const refused: Unmet[] = []
  let fallbackCount = 0
  let refusedCount = 0

  const sourceOf = (name: string): ProviderStatus => {
    const known = sources.get(name) ?? { name, hits: 0, misses: 0, bytes: 0, errors: 0 }
    sources.set(name, known)
    return known
  }
  for (const name of names) sourceOf(name)
  return {
    opened: (provider, model) => keep(models, { ...model, provider }),
    missed: (provider) => void sourceOf(provider).misses++,
    failed(provider, error) {
      const source = sourceOf(provider)
      source.errors++
      source.lastError = error instanceof Error ? error.message : String(error)
    },
    given(provider = REGISTERED, bytes) {
      const source = sourceOf(provider)
      source.hits++
      source.bytes += bytes
    },
    lacked: (provider = REGISTERED) => void sourceOf(provider).misses++,
    passedOn(url, to, why) {
      fallbackCount++
      keep(fallbacks, { url, to, why })
    },
    refused(url, why) {
      refusedCount++
      keep(refused, { url, why })
    },
    read() {
      const all = Array.from(sources.values(), (source) => ({ ...source }))
      const sum = (of: (source: ProviderStatus) => number): number =>
        all.reduce((total, source) => total + of(source), 0)
      return {
        hits: sum(({ hits }) => hits),
        misses: sum(({ misses }) => misses),
        bytes: sum(({ bytes }) => bytes),
        sources: all,
        models: [...models],
        fallbacks: [...fallbacks],
        fallbackCount,
        refused: [...refused],
        refusedCount,
      }
    },
  }
}
