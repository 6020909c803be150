import { InvalidInputError, UnsupportedError } from '@x/cid'
import { GatedError } from '@x/storage-core'

import { runtimeOf } from './installed-runtime.ts'
import type { ProviderProber } from './prober.ts'
import { AUTO_ORDER, WASM } from './provider-names.ts'

/**
 * Which execution provider runs graphs: the first of a list that works; of all that the installed runtime has (`auto`), GPUs
 * first; or one and no other.
 */
export type Providers = 'auto' | readonly string[] | { require: string }

/** A model that an execution provider refused, though it works. */
export interface ProviderRefusal {
  provider: string
  /** CID. */
  model: string
  why: string
}

/** The execution providers that may run a model, in their order. */
export interface ProviderLadder {
  /** As the caller gave them. */
  readonly asked: readonly string[] | 'auto'
  /**
   * The first that works, and what comes after it in the list, which was not tried yet. What comes before it is asked of the prober
   * again each time, which keeps its verdicts for as long as they hold, but for what would be another runtime.
   *
   * @throws {GatedError} None works; it says of each why.
   */
  climb(): Promise<Rungs>
  /** The next that works, after one on which a model could not be loaded; `undefined`: there is none. */
  next(refusal: ProviderRefusal): Promise<string | undefined>
  refusals(): readonly ProviderRefusal[]
}

type Rungs = readonly [string, ...string[]]

/**
 * `climb`, for what computes in the calling thread.
 *
 * @throws {UnsupportedError} What works is the WASM build.
 */
export async function climbInThisThread(ladder: ProviderLadder): Promise<Rungs> {
  const rungs = await ladder.climb()
  if (rungs[0] !== WASM) return rungs
  throw new UnsupportedError(`${WASM} takes a thread of its own, which an engine has and a runner has not`)
}

export interface LadderOptions {
  providers: Providers
  prober: ProviderProber
  /** Hears of each that does not work, and why. */
  onWarning: (message: string) => void
}

/** @throws {InvalidInputError} A list of none. */
export function createLadder({ providers, prober, onWarning }: LadderOptions): ProviderLadder {
  const asked = namesOf(providers)
  const refused = new Map<string, ProviderRefusal>()
  const warned = new Set<string>()
  /** Of the last climb. */
  let found: Rungs | undefined

  const warn = (message: string): void => {
    if (!warned.has(message)) onWarning(message)
    warned.add(message)
  }

  async function rungs(): Promise<readonly string[]> {
    if (asked !== 'auto') return asked
    const { providers: listed, why } = await prober.listed()
    if (why !== undefined) warn(`execution provider auto: ${why}`)
    return AUTO_ORDER.filter((name) => name === WASM || listed.includes(name))
  }

  /**
   * The first that works, and what comes after it.
   *
   * @param beside - What it computes with has to be the runtime of this one: another needs threads of its own.
   */
  async function from(names: readonly string[], beside: string | undefined): Promise<Rungs | undefined> {
    for (const [index, name] of names.entries()) {
      if (beside !== undefined && runtimeOf(name) !== runtimeOf(beside)) continue
      const { works, why } = await prober.probe(name)
      if (works) return [name, ...names.slice(index + 1)]
      warn(`execution provider ${name} does not work here: ${why}`)
    }
    return undefined
  }

  async function climb(): Promise<Rungs> {
    const names = await rungs()
    // Nothing else could be said of it than what the model itself will say.
    if (names.length === 1 && names[0] === 'cpu') return ['cpu']
    const reached = (await from(names, found?.[0])) ?? found
    if (reached) {
      found = reached
      return reached
    }
    const whys = await Promise.all(names.map((name) => prober.probe(name)))
    const reasons = whys.map(({ provider, why }) => `${provider}: ${why}`).join('; ')
    throw new GatedError(`no execution provider that may be used works here: ${reasons}`, {
      feature: 'execution-provider',
    })
  }

  return {
    asked,
    climb,
    async next(refusal) {
      const { provider, model, why } = refusal
      refused.set(`${provider} ${model}`, refusal)
      warn(`execution provider ${provider} cannot run ${model}: ${why}`)
      const names = await rungs()
      return (await from(names.slice(names.indexOf(provider) + 1), provider))?.[0]
    },
    refusals: () => [...refused.values()],
  }
}

function namesOf(providers: Providers): readonly string[] | 'auto' {
  if (providers === 'auto') return providers
  const names = 'require' in providers ? [providers.require] : [...providers]
  if (names.length > 0 && names.every((name) => typeof name === 'string' && name !== '')) return [...new Set(names)]
  throw new InvalidInputError("providers is 'auto', a list of names, or { require: name }", { input: 'providers' })
}
