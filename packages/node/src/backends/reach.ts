import {
  decideGates,
  mayReach,
  type Environment,
  type FeatureName,
  type GateInputs,
  type Gates,
  type GateSettings,
} from '@x/gating'
import { GatedError, InvalidInputError } from '@x/storage-core'

import type { BackendKind } from './backend-spec.ts'

/** The switch that each kind is behind. */
const FEATURE_OF: Readonly<Record<BackendKind, FeatureName>> = {
  kubo: 'kubo',
  gateway: 'gateway',
  static: 'gateway',
  s3: 's3',
  helia: 'helia',
  lan: 'lan',
}

export const featureOf = (kind: BackendKind): FeatureName => FEATURE_OF[kind]

/** Asks the switches before each connection. */
export interface BackendReach {
  readonly feature: FeatureName
  /** @throws {GatedError} The switch does not let it connect there. */
  assertHost(hostname: string): void
  /**
   * As `assertHost`, for a URL or multiaddr.
   *
   * @param what - What it is the address of, for messages.
   * @throws {InvalidInputError} It is neither, or names more than one host.
   * @throws {GatedError} Also for a circuit, where it may not connect to other machines: who is at its end can be anywhere.
   */
  assertAddress(address: string, what: string): void
  /** @throws {GatedError} It may not connect to other machines, or not at all. */
  assertAny(): void
}

export interface ReachOptions {
  environment: Environment
  gates?: GateSettings | undefined
  /** What named it. Default `option`. */
  by?: 'option' | 'reference' | undefined
}

/**
 * How far a backend that was named may go. To name it is to ask for it, so it wins over the environment and over what CI
 * turns off; the network's own switch stays its limit. Only for peers on a LAN the environment wins, where it says
 * anything, for there others see who takes part; and for what a reference alone names, for references come out of programs
 * and files.
 *
 * @throws {InvalidSettingError} A variable or option has a value that means nothing.
 */
export function reachOf(
  kind: BackendKind,
  { environment, gates: given = {}, by = 'option' }: ReachOptions,
): BackendReach {
  const feature = featureOf(kind)
  const gates = decideGates({ environment, ...askedFor(feature, given, by) })
  const assertHost: BackendReach['assertHost'] = (hostname) => {
    if (!mayReach(gates, feature, hostname)) throw refusal(gates, feature, hostname)
  }
  const assertAny: BackendReach['assertAny'] = () => {
    if (gates.features[feature].reach !== 'any') throw refusal(gates, feature, 'other machines')
  }
  return {
    feature,
    assertHost,
    assertAny,
    assertAddress(address, what) {
      const { host, isCircuit } = parseAddress(address, what)
      assertHost(host)
      if (isCircuit) assertAny()
    },
  }
}

/** A configuration counts for less than the environment, and an option for more. */
function askedFor(
  feature: FeatureName,
  given: GateSettings,
  by: 'option' | 'reference',
): Pick<GateInputs, 'options' | 'config'> {
  if (feature === 'lan' || by === 'reference') {
    return { options: given, config: { gates: { [feature]: 'prefer' }, file: 'asked for by name' } }
  }
  return { options: { ...given, [feature]: given[feature] ?? 'prefer' } }
}

function refusal({ features }: Gates, feature: FeatureName, to: string): GatedError {
  const { network, [feature]: decision } = features
  // What the network leaves of a feature is explained by the network: nobody set the position that it would have.
  const isLimit = decision.reach === 'loopback' || (network.reach !== 'any' && decision.variable === network.variable)
  return new GatedError(`${feature} may not connect to ${to}. ${(isLimit ? network : decision).reason}`, { feature })
}

const HOST_PROTOCOLS = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'dnsaddr'])

/**
 * The host of a URL or multiaddr; of a Unix socket `localhost`, as it is on this machine.
 *
 * @throws {InvalidInputError} It is neither, or has a second host. The message does not show it, for it may hold a password.
 */
function parseAddress(address: string, what: string): { host: string; isCircuit: boolean } {
  if (/^(?:unix:|\/unix\/)/.test(address)) return { host: 'localhost', isCircuit: false }
  if (address.startsWith('/')) return parseMultiaddr(address, what)
  const url = URL.parse(address)
  if (url !== null && url.hostname !== '') return { host: url.hostname, isCircuit: false }
  if (/^[^/@]+:\d+(?:\/|$)/.test(address)) throw refusedAddress(what, 'has no http:// before it')
  throw refusedAddress(what, url === null ? NEITHER : 'is a URL without a host')
}

const NEITHER = 'is no URL and no multiaddr'

const refusedAddress = (what: string, why: string): InvalidInputError =>
  new InvalidInputError(`${what}: the address ${why}`, { input: what })

function parseMultiaddr(address: string, what: string): { host: string; isCircuit: boolean } {
  const [protocol = '', host = '', ...rest] = address.slice(1).split('/')
  if (!HOST_PROTOCOLS.has(protocol) || host === '') throw refusedAddress(what, NEITHER)
  // Which of two hosts is dialled, programs do not agree on.
  if (rest.some((part) => HOST_PROTOCOLS.has(part))) throw refusedAddress(what, 'names more than one host')
  return { host, isCircuit: rest.includes('p2p-circuit') }
}
