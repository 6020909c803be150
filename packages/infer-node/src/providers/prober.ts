import { createHash } from 'node:crypto'

import type { Cache } from '@x/cache'
import { decodeDagCbor, encodeDagCbor, type Block } from '@x/cid'
import type { Software } from '@x/infer-core'
import { fieldsOf } from '@x/pipelines/parts'
import { reasonOf } from '@x/storage-core/backend'

import { deviceFacts, libraryFacts } from './device-facts.ts'
import { installedRuntime, runtimeOf, type InstalledRuntime } from './installed-runtime.ts'
import { runProbe, type ProbeOutcome } from './probe-process.ts'
import { WASM } from './provider-names.ts'
import { whileItHolds, type Holding } from './while-it-holds.ts'

/** Whether an execution provider works on this machine, with the runtime that is installed. */
export interface ProviderVerdict {
  provider: string
  works: boolean
  /** Of one that works too. */
  why: string
  /** How long trying it took. */
  milliseconds: number
  /** `undefined`: it is not installed. */
  runtime: Software | undefined
  /** `kept`: found out before, and given again. */
  from: 'probed' | 'kept'
}

/** What the native runtime says it has. */
export interface ListedProviders {
  providers: readonly string[]
  /** Why it says nothing; `undefined`: it does. */
  why: string | undefined
}

/** Tries execution providers, one at a time, each in a process of its own, and keeps what it found out. */
export interface ProviderProber {
  /** The execution providers of onnxruntime-node, whether they work or not. */
  listed(): Promise<ListedProviders>
  /**
   * Runs a tiny graph, whose answer is known, on one execution provider alone. That it does not work is an answer, not an error; it is
   * tried again when it is asked for an hour after it was.
   */
  probe(provider: string): Promise<ProviderVerdict>
  /** Of all that were asked for so far. */
  verdicts(): readonly ProviderVerdict[]
}

export interface ProviderProberOptions {
  /** Keeps verdicts from one program to the next. Default: in memory alone. */
  cache?: Cache | undefined
  /** One that has not answered by then does not work. Default 30 seconds; TensorRT may want more. */
  timeoutMs?: number | undefined
  /** Told when verdicts could not be read or kept. Default: nobody is. */
  onWarning?: ((message: string) => void) | undefined
}

const TIMEOUT_MS = 30_000
/** What did not work is tried again: a device may have been busy, a driver installed where no file tells of it. */
const FAILURE_TTL_MS = 3_600_000
/** Under what the cache counts them. */
const GROUP = 'providers'

/**
 * Verdicts hold for a version of the runtime, with the libraries beside it, and for this machine with its devices and drivers, as
 * far as files and variables tell. One that works stays, in a `cache` until any of that changes, one that does not for an hour from when
 * it was tried, by whichever program.
 */
export function createProviderProber({
  cache,
  timeoutMs = TIMEOUT_MS,
  onWarning = () => undefined,
}: ProviderProberOptions = {}): ProviderProber {
  const asked = new Map<string, () => Promise<ProviderVerdict>>()
  const found = new Map<string, ProviderVerdict>()

  async function told<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      onWarning(`what is known of execution providers could not be read or kept: ${reasonOf(error)}`)
      return undefined
    }
  }

  /** The outcome that was kept, or that of a new try. */
  async function outcomeOf(
    runtime: InstalledRuntime,
    provider: string | undefined,
  ): Promise<ProbeOutcome & Pick<ProviderVerdict, 'from'> & { expiresMs?: number | undefined }> {
    const key = await probeKey(runtime, provider)
    const hit = cache && (await told(() => cache.get(key, { group: GROUP })))
    const kept = hit?.kind === 'value' ? readOutcome(decodeDagCbor(hit.blocks[0].bytes)) : undefined
    if (kept) return { ...kept, from: 'kept', expiresMs: hit?.expiresMs }
    const outcome = await runProbe(runtime.entry, provider, timeoutMs)
    if (cache) {
      const { providers, failure, milliseconds } = outcome
      const value = await encodeDagCbor({
        providers: providers === undefined ? null : [...providers],
        failure: failure ?? null,
        milliseconds: Math.round(milliseconds),
      })
      await told(() =>
        cache.put(key, value, { ttlMs: failure === undefined ? undefined : FAILURE_TTL_MS, group: GROUP }),
      )
    }
    return { ...outcome, from: 'probed' }
  }

  async function list(): Promise<Holding<ListedProviders>> {
    const runtime = installed('onnxruntime-node')
    if ('why' in runtime) return forAnHour({ providers: [], why: runtime.why })
    const { providers, failure, expiresMs } = await outcomeOf(runtime, undefined)
    if (providers !== undefined) return { value: { providers, why: undefined }, untilMs: Infinity }
    return forAnHour({ providers: [], why: `${nameOf(runtime)} cannot be loaded: ${failure}` }, expiresMs)
  }

  async function judge(provider: string): Promise<Holding<ProviderVerdict>> {
    const runtime = installed(runtimeOf(provider))
    const base = { provider, milliseconds: 0, works: false, from: 'probed' } as const
    if ('why' in runtime) return forAnHour({ ...base, runtime: undefined, why: runtime.why })
    const { name, version } = runtime
    const { providers, failure, milliseconds, from, expiresMs } = await outcomeOf(runtime, provider)
    const verdict = { ...base, runtime: { name, version }, milliseconds, from }
    const not = (why: string): Holding<ProviderVerdict> => forAnHour({ ...verdict, why }, expiresMs)
    if (providers === undefined) return not(`${nameOf(runtime)} cannot be loaded: ${failure}`)
    if (provider !== WASM && !providers.includes(provider)) {
      return not(`${nameOf(runtime)} has no ${provider} on this platform, but ${providers.join(', ')}`)
    }
    if (failure !== undefined) return not(failure)
    return { value: { ...verdict, works: true, why: 'it gave the answer that is known' }, untilMs: Infinity }
  }

  async function verdictOf(provider: string): Promise<Holding<ProviderVerdict>> {
    const verdict = await judge(provider)
    found.set(provider, verdict.value)
    return verdict
  }

  return {
    listed: whileItHolds(list),
    probe(provider) {
      const ask = asked.get(provider) ?? whileItHolds(() => verdictOf(provider))
      asked.set(provider, ask)
      return ask()
    },
    verdicts: () => [...found.values()],
  }
}

/** From now, or until what was kept is not any more. */
const forAnHour = <T>(value: T, expiresMs = Date.now() + FAILURE_TTL_MS): Holding<T> => ({ value, untilMs: expiresMs })

const nameOf = ({ name, version }: Software): string => `${name} ${version}`

function installed(name: InstalledRuntime['name']): InstalledRuntime | { why: string } {
  try {
    return installedRuntime(name)
  } catch (error) {
    return { why: `${name} is not installed: ${reasonOf(error).split('\n', 1)[0]}` }
  }
}

function probeKey({ name, version, entry }: InstalledRuntime, provider: string | undefined): Promise<Block> {
  // A digest: what is in the environment of a program is nobody's business.
  const facts = JSON.stringify([process.version, ...deviceFacts(), ...libraryFacts(entry)])
  const machine = createHash('sha256').update(facts).digest('hex')
  return encodeDagCbor({ executionProvider: 1, provider: provider ?? null, runtime: { name, version }, machine })
}

function readOutcome(value: unknown): ProbeOutcome | undefined {
  const { providers, failure, milliseconds } = fieldsOf(value)
  if (typeof milliseconds !== 'number' || !(failure === null || typeof failure === 'string')) return undefined
  return {
    providers: Array.isArray(providers) ? providers.map(String) : undefined,
    failure: failure ?? undefined,
    milliseconds,
  }
}
