import type { CiDecision } from './ci.ts'
import { detectCi } from './ci.ts'
import { configuredGatesOf, type ConfiguredGates } from './configured.ts'
import type { Environment } from './environment.ts'
import { readVariable } from './environment.ts'
import type { Setting } from './errors.ts'
import { ContradictorySettingsError, describeSetting, InvalidSettingError } from './errors.ts'
import type { FeatureName, Position, Reach } from './features.ts'
import { FEATURE_NAMES, FEATURES, isFeatureName } from './features.ts'
import { misspeltVariables } from './spelling.ts'
import type { GateVariable } from './variables.ts'
import { GATE_VARIABLES } from './variables.ts'
import { parseBoolean, parsePosition } from './words.ts'

/** Positions by feature. `true` is `prefer` and `false` is `off`; `undefined` and `''` say nothing. */
export type GateSettings = { readonly [F in FeatureName]?: Position | boolean | undefined }

export interface GateInputs {
  readonly environment: Environment
  /** What the program or its command line asks for. Default: nothing. */
  readonly options?: GateSettings | undefined
  /** What a configuration file says. What the environment carries (`withConfiguredGates`) comes before it. Default: nothing. */
  readonly config?: ConfiguredGates | undefined
}

/** One gate: its position, and why. */
export interface GateDecision extends Setting {
  /** How far the feature may connect. `none` for `off` and `local`, and for what opens no socket of its own. */
  readonly reach: Reach
  /** One sentence or two, for people. */
  readonly reason: string
}

export interface Gates {
  readonly ci: CiDecision
  readonly features: Readonly<Record<FeatureName, GateDecision>>
  /** Variables that are set, not read, and look like a misspelt one. */
  readonly warnings: readonly string[]
}

type Stated = { readonly [F in FeatureName]?: Setting | undefined }

const REACHES: readonly Reach[] = ['none', 'loopback', 'any']
const RANKS: readonly Position[] = ['off', 'local', 'prefer', 'require']

/**
 * Where every gate stands, and why. Pure: the same inputs give the same answer, and nothing else is read.
 *
 * Option, environment, configuration file, CI default, default: the first that says something about a feature decides. A
 * variable that takes a boolean only takes away: it moves a gate down, past everything but an option. Then the network's
 * position limits the rest.
 *
 * @throws {InvalidSettingError} A value that means nothing, also where something before it decides; a feature that is unknown.
 * @throws {ContradictorySettingsError} A `require` that another setting makes impossible.
 */
export function decideGates({ environment, options, config }: GateInputs): Gates {
  const ci = detectCi(environment)
  const optional = fromTable('option', (feature) => `option ${feature}`, options ?? {})
  const stated = fromEnvironment(environment, 'position')
  const caps = fromEnvironment(environment, 'boolean')
  const configured = { ...fromFile(config), ...fromFile(configuredGatesOf(environment)) }

  const decide = (feature: FeatureName): GateDecision => {
    const option = optional[feature]
    if (option !== undefined) return toDecision(option, `Asked for: ${describeSetting(option)}.`)
    const variable = stated[feature]
    const key = configured[feature]
    if (variable !== undefined) return cap(toDecision(variable, setInEnvironment(variable)), caps[feature])
    if (key !== undefined) return cap(toDecision(key, `Set in ${describeSetting(key)}.`), caps[feature])
    return cap(byDefault(feature, ci), caps[feature])
  }
  const network = decide('network')
  const gate = (feature: FeatureName): GateDecision => limit(decide(feature), network)
  const features: Record<FeatureName, GateDecision> = {
    network,
    kubo: gate('kubo'),
    helia: gate('helia'),
    gateway: gate('gateway'),
    s3: gate('s3'),
    pinning: gate('pinning'),
    lan: gate('lan'),
    hub: gate('hub'),
    patch: gate('patch'),
    'remote-inference': gate('remote-inference'),
  }
  return { ci, features, warnings: misspeltVariables(environment) }
}

/**
 * Whether the feature may do all it can: `prefer` or `require`. `local` is not on, for it opens no socket; what the network's
 * `local` still permits is `mayReach`'s to say.
 */
export function isOn(gates: Gates, feature: FeatureName): boolean {
  const { position } = gates.features[feature]
  return position === 'prefer' || position === 'require'
}

function fromFile({ gates, file = 'configuration', places = {} }: ConfiguredGates = { gates: {} }): Stated {
  const placeOf = (feature: string): string => (Object.hasOwn(places, feature) ? places[feature] : undefined) ?? file
  return fromTable('config', (feature) => `${placeOf(feature)}: ${feature}`, gates)
}

function fromTable(
  source: 'option' | 'config',
  nameOf: (feature: string) => string,
  table: Readonly<Record<string, unknown>>,
): Stated {
  const settings: { [F in FeatureName]?: Setting } = {}
  for (const [feature, given] of Object.entries(table)) {
    if (given === undefined) continue
    const variable = nameOf(feature)
    const value = textOf(given)
    if (!isFeatureName(feature)) {
      throw new InvalidSettingError(variable, value, `is for no gate there is: ${FEATURE_NAMES.join(' ')}`)
    }
    const position = parsePosition(variable, value)
    if (position !== undefined) settings[feature] = { feature, position, source, variable, value: value.trim() }
  }
  return settings
}

/** A value of another type than these three is named by its type, which no truth table has. */
function textOf(given: unknown): string {
  if (typeof given === 'string') return given
  return typeof given === 'boolean' || typeof given === 'number' ? String(given) : typeof given
}

/** Of several variables about one feature, the one that permits least. */
function fromEnvironment(environment: Environment, takes: GateVariable['takes']): Stated {
  const settings: { [F in FeatureName]?: Setting } = {}
  for (const gateVariable of GATE_VARIABLES) {
    if (gateVariable.takes !== takes) continue
    const { name: variable, moves } = gateVariable
    const value = readVariable(environment, variable)
    const position = value === undefined ? undefined : positionFrom(gateVariable, value)
    if (position === undefined) continue
    for (const feature of moves) {
      const other = settings[feature]
      if (other !== undefined && rank(other) <= RANKS.indexOf(position)) continue
      settings[feature] = { feature, position, source: 'environment', variable, value }
    }
  }
  return settings
}

function positionFrom(gateVariable: GateVariable, value: string): Position | undefined {
  if (gateVariable.takes === 'position') return parsePosition(gateVariable.name, value)
  return parseBoolean(gateVariable.name, value) === true ? gateVariable.to : undefined
}

/** A switch that stops something is not undone by one beside it. Neither is a `require`, so the two together are an error. */
function cap(decision: GateDecision, least: Setting | undefined): GateDecision {
  if (least === undefined || rank(least) > rank(decision)) return decision
  if (rank(least) === rank(decision)) return toDecision(least, setInEnvironment(least))
  if (decision.source === 'environment' && decision.position === 'require') {
    throw new ContradictorySettingsError([decision, least], `${least.feature} is required, and made ${least.position}`)
  }
  return toDecision(least, `${setInEnvironment(least)} It permits less than ${describeSetting(decision)}.`)
}

function rank({ position }: Setting): number {
  return RANKS.indexOf(position)
}

function setInEnvironment(setting: Setting): string {
  return `Set in the environment: ${describeSetting(setting)}.`
}

function byDefault(feature: FeatureName, ci: CiDecision): GateDecision {
  const { byDefault: usual, inCi } = FEATURES[feature]
  const silent = { feature, variable: undefined, value: undefined }
  if (!ci.isCi) return toDecision({ ...silent, position: usual, source: 'default' }, 'The default.')
  if (inCi === usual && usual !== 'off') {
    const reason = 'The default, in CI as well: there the features that use the network are off, each by its own gate.'
    return toDecision({ ...silent, position: usual, source: 'default' }, reason)
  }
  const { variable, value } = ci
  const reason = `${ci.reason} Distributed features are off there by default; ${ownVariable(feature)}=prefer allows this one.`
  return toDecision({ feature, position: inCi, source: 'ci', variable, value }, reason)
}

/** What is left of a decision where the network does not reach as far as the feature needs. */
function limit(decision: GateDecision, network: GateDecision): GateDecision {
  const { feature, position } = decision
  const described = FEATURES[feature]
  if (position === 'off' || position === 'local' || described.needs === 'none') return { ...decision, reach: 'none' }
  if (REACHES.indexOf(network.reach) >= REACHES.indexOf(described.needs)) return { ...decision, reach: network.reach }
  const why =
    network.reach === 'none'
      ? `no socket is opened, not even on loopback, which ${feature} needs`
      : `only this machine is reached, and ${feature} needs others`
  if (position === 'require') throw new ContradictorySettingsError([network, decision], why)
  const { source, variable, value } = network
  const otherwise = `Otherwise it would be ${position} (${describeSetting(decision)}).`
  const reason = `The network is ${network.position} (${describeSetting(network)}): ${why}. ${otherwise}`
  return { feature, position: described.unreached, source, variable, value, reach: 'none', reason }
}

function toDecision(setting: Setting, reason: string): GateDecision {
  const { feature, position } = setting
  return { ...setting, reach: feature === 'network' ? reachOf(position) : 'none', reason }
}

function reachOf(position: Position): Reach {
  if (position === 'off') return 'none'
  return position === 'local' ? 'loopback' : 'any'
}

/** As the table of variables has it, which a test holds. */
function ownVariable(feature: FeatureName): string {
  return `IPFS_ACCELERATE_${feature.toUpperCase().replaceAll('-', '_')}`
}
