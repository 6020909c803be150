import { InvalidInputError } from '@x/cid'
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
   * The first that works, and what comes after it in the list, which was not tried yet.
   *
   * @throws {GatedError} None works; it says of each why.
   */
  climb(): Promise<readonly [string, ...string[]]>
  /** The next that works, after one on which a model could not be loaded; `undefined`: there is none. */
  next(refusal: ProviderRefusal): Promise<string | undefined>
  refusals(): readonly ProviderRefusal[]
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
  let climbing: Promise<readonly [string, ...string[]]> | undefined

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

  /** The first that works, and what comes after it. */
  async function from(names: readonly string[]): Promise<readonly [string, ...string[]] | undefined> {
    for (const [index, name] of names.entries()) {
      const { works, why } = await prober.probe(name)
      if (works) return [name, ...names.slice(index + 1)]
      warn(`execution provider ${name} does not work here: ${why}`)
    }
    return undefined
  }

  async function climb(): Promise<readonly [string, ...string[]]> {
    const names = await rungs()
    // Nothing else could be said of it than what the model itself will say.
    if (names.length === 1 && names[0] === 'cpu') return ['cpu']
    const found = await from(names)
    if (found) return found
    const whys = await Promise.all(names.map((name) => prober.probe(name)))
    const reasons = whys.map(({ provider, why }) => `${provider}: ${why}`).join('; ')
    throw new GatedError(`no execution provider that may be used works here: ${reasons}`, {
      feature: 'execution-provider',
    })
  }

  return {
    asked,
    climb: () => (climbing ??= climb()),
    async next(refusal) {
      const { provider, model, why } = refusal
      refused.set(`${provider} ${model}`, refusal)
      warn(`execution provider ${provider} cannot run ${model}: ${why}`)
      const names = await rungs()
      // What computes in WebAssembly is another runtime, which needs a thread of its own.
      const others = names.slice(names.indexOf(provider) + 1).filter((name) => runtimeOf(name) === runtimeOf(provider))
      return (await from(others))?.[0]
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
