import type { Environment } from './environment.ts'

/** The `gates` table of a configuration file. */
export interface ConfiguredGates {
  /** As the file's parser gave it. */
  readonly gates: Readonly<Record<string, unknown>>
  /** For reasons and errors. Default `configuration`. */
  readonly file?: string | undefined
  /** Where each gate is said, `file:line`, for reasons and errors. Default: `file`. */
  readonly places?: Readonly<Record<string, string | undefined>> | undefined
}

const CARRIED = Symbol.for('@x/gating/configured')

/**
 * A copy of the environment that carries what a configuration file says of gates to everything that decides one. So a program that has read a
 * file hands it on once, and nothing below can forget it. A copy of it (`{ ...environment }`) carries it too; a process that is started with it
 * gets the variables alone.
 *
 * @param configured - `undefined`: the file says nothing.
 */
export function withConfiguredGates(environment: Environment, configured: ConfiguredGates | undefined): Environment {
  const carrying: Environment & { [CARRIED]?: ConfiguredGates | undefined } = { ...environment, [CARRIED]: configured }
  return carrying
}

/** What `withConfiguredGates` put into it. */
export function configuredGatesOf(environment: Environment): ConfiguredGates | undefined {
  const carrying: Environment & { [CARRIED]?: ConfiguredGates | undefined } = environment
  return carrying[CARRIED]
}
