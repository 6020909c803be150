import type { FeatureName, Position } from './features.ts'

// The symbol that the project's other errors carry. Registered, so that packages which do not import each other share it.
const brand = Symbol.for('@x/error')

/** Who said what about a gate. */
export interface Setting {
  readonly feature: FeatureName
  readonly position: Position
  readonly source: 'option' | 'environment' | 'config' | 'ci' | 'default'
  /** The environment variable, option or key that says so; in CI, the variable that shows it; `undefined` for a default. */
  readonly variable: string | undefined
  readonly value: string | undefined
}

/** A setting whose value means nothing. */
export class InvalidSettingError extends Error {
  static {
    Object.defineProperty(this.prototype, brand, { value: true })
  }
  override readonly name = 'InvalidSettingError'
  readonly code = 'INVALID_INPUT'
  /** The environment variable, or `option kubo`, or `ipfs-accelerate.toml: kubo`. */
  readonly variable: string
  readonly value: string

  constructor(variable: string, value: string, complaint: string, options?: ErrorOptions) {
    super(`${variable}: ${shown(value)} ${complaint}`, options)
    this.variable = variable
    this.value = value
  }
}

/** Two settings that cannot both be obeyed, one of them a `require`, which is never dropped silently. */
export class ContradictorySettingsError extends Error {
  static {
    Object.defineProperty(this.prototype, brand, { value: true })
  }
  override readonly name = 'ContradictorySettingsError'
  readonly code = 'INVALID_INPUT'
  readonly settings: readonly [Setting, Setting]

  constructor(settings: readonly [Setting, Setting], why: string, options?: ErrorOptions) {
    super(`${describeSetting(settings[0])} and ${describeSetting(settings[1])} contradict each other: ${why}`, options)
    this.settings = settings
  }
}

/** `IPFS_ACCELERATE_NETWORK=off`, `option kubo=require`, or `network=prefer, the default`. */
export function describeSetting({ feature, position, variable, value }: Setting): string {
  if (variable !== undefined && value !== undefined) return `${variable}=${value}`
  return `${feature}=${position}, the default`
}

/** Quoted, control characters escaped, and cut: what lands in a variable by mistake may be a whole file. */
function shown(value: string): string {
  return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value)
}
