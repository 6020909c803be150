import path from 'node:path'

import { decideGates, isOn, mayReach, type Environment, type Gates, type GateSettings } from '@x/gating'
import type { SigningPolicy } from '@x/model-signing'

import { dataDirectory } from '../data-directory.ts'
import { oneOf } from '../one-of.ts'
import type { MemoryMode } from '../sessions/session-planner.ts'
import { signingSettings, UNSIGNED_VARIABLE } from '../signing/signing-settings.ts'
import { wholeNumber } from '../whole-number.ts'

export interface HookSettings {
  gates: Gates
  isOn: boolean
  /** What becomes of a request that no provider answers; see `TransformersBindingOptions`. */
  offline: 'strict' | 'models' | 'prefer'
  /** Why, for a person. */
  whyOffline: string
  /** What models have to show; `undefined`: nothing. */
  policy: SigningPolicy | undefined
  directory: string
  memory: MemoryMode
  verify: 'stored' | 'each-open'
  /** Rows in a run, for `memory: 'auto'`. */
  batch: number
  /** Most bytes of derived files. */
  derivedBytes: number
  /** Why the library may not fetch a URL. */
  whyNotFetch(url: string): string | undefined
}

export interface SettingsInput {
  environment: Environment
  gates?: GateSettings | undefined
  directory?: string | undefined
  offline?: 'strict' | 'prefer' | undefined
  memory?: MemoryMode | undefined
  verify?: 'stored' | 'each-open' | undefined
  batch?: number | undefined
  derivedBytes?: number | undefined
  /** What models have to show. Each field beats its variable. */
  policy?: Partial<SigningPolicy> | undefined
}

const MEMORY_VARIABLE = 'IPFS_ACCELERATE_MEMORY'
const BATCH_VARIABLE = 'IPFS_ACCELERATE_BATCH_SIZE'
const VERIFY_VARIABLE = 'IPFS_ACCELERATE_VERIFY'
const DERIVED_BYTES_VARIABLE = 'IPFS_ACCELERATE_DERIVED_BYTES'

const MEMORY_MODES = ['auto', 'mmap', 'packed', 'original'] as const
const VERIFY_MODES = ['stored', 'each-open'] as const
const DEFAULT_DERIVED_BYTES = 20 * 1024 ** 3

/**
 * What the environment and the options make of the hook.
 *
 * @throws {InvalidSettingError} A gate's variable has a value that means nothing.
 * @throws {InvalidInputError} Another variable has.
 */
export function hookSettings(input: SettingsInput): HookSettings {
  const { environment } = input
  const gates = decideGates({ environment, options: input.gates })
  const { hub, network, patch } = gates.features
  const policy = signingSettings(environment, input.policy)
  return {
    gates,
    isOn: isOn(gates, 'patch'),
    ...strictness(input.offline, gates, policy),
    policy,
    directory: path.resolve(input.directory ?? dataDirectory(environment, process.platform)),
    memory: input.memory ?? oneOf(MEMORY_VARIABLE, environment[MEMORY_VARIABLE], MEMORY_MODES) ?? 'auto',
    verify: input.verify ?? oneOf(VERIFY_VARIABLE, environment[VERIFY_VARIABLE], VERIFY_MODES) ?? 'stored',
    batch: input.batch ?? wholeNumber(environment, BATCH_VARIABLE) ?? 1,
    derivedBytes: input.derivedBytes ?? wholeNumber(environment, DERIVED_BYTES_VARIABLE) ?? DEFAULT_DERIVED_BYTES,
    whyNotFetch(url) {
      const host = URL.canParse(url) ? new URL(url).hostname : ''
      if (mayReach(gates, 'hub', host)) return undefined
      return patch.position === 'require' ? patch.reason : hub.reach === 'none' ? hub.reason : network.reason
    },
  }
}

function strictness(
  asked: 'strict' | 'prefer' | undefined,
  { features: { hub, network, patch } }: Gates,
  policy: SigningPolicy | undefined,
): Pick<HookSettings, 'offline' | 'whyOffline'> {
  if (asked === 'strict') return { offline: 'strict', whyOffline: 'Asked for: offline=strict.' }
  if (asked === undefined) {
    if (network.reach === 'none') return { offline: 'strict', whyOffline: network.reason }
    if (patch.position === 'require') return { offline: 'strict', whyOffline: patch.reason }
    if (hub.reach === 'none') return { offline: 'strict', whyOffline: hub.reason }
  }
  if (policy?.unsigned === 'refuse') {
    const whyOffline = `Unsigned models are refused (${UNSIGNED_VARIABLE}), and what the library fetches by itself is not checked.`
    return { offline: 'models', whyOffline }
  }
  return { offline: 'prefer', whyOffline: asked === 'prefer' ? 'Asked for: offline=prefer.' : hub.reason }
}
