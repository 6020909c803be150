import { storageOf, type Configuration, type ConfiguredBackend } from '@x/configuration'
import {
  composeStorage,
  parseBackendSpec,
  type BackendKind,
  type BackendSpec,
  type ComposedBackend,
  type ComposedStorage,
  type Storage,
} from '@x/node'
import { InvalidInputError, type TierEvent } from '@x/storage-core'

import type { Context } from './command.ts'

/** What `[backends.NAME]` of a configuration has, as it is composed. */
export interface ConfiguredTier extends ComposedBackend {
  spec: BackendSpec
}

/**
 * @throws {InvalidInputError} It has a kind of backend that is not there in this version: who wrote that copies are made there would
 *   take it for done.
 */
export function configuredTiers(configuration: Configuration): ConfiguredTier[] {
  return storageOf(configuration).backends.map((backend) => tierOf(backend))
}

function tierOf({
  name,
  kind,
  addresses,
  role,
  write,
  isRequired,
  stallTimeoutMs,
  place,
  readToken,
}: ConfiguredBackend): ConfiguredTier {
  if (kind === 'pinning' || kind === 'store') {
    const message = `${place}: backends.${name}: no command opens a ${kind} backend in this version`
    throw new InvalidInputError(message, { input: name })
  }
  const spec = specOf(kind, addresses)
  return {
    spec,
    name,
    role,
    write,
    isRequired,
    stallTimeoutMs,
    ...(kind === 'kubo' && { auth: readToken }),
  }
}

const specOf = (kind: BackendKind, addresses: readonly string[]): BackendSpec =>
  parseBackendSpec(addresses.length === 0 ? kind : `${kind}=${addresses.join(',')}`, {})

/** One storage of the local one and of what the configuration names. Failures that others stood in for are warnings. */
export async function composeConfigured(
  storage: Storage,
  configuration: Configuration,
  { io, printer, signal }: Pick<Context, 'io' | 'printer' | 'signal'>,
): Promise<ComposedStorage> {
  const { hedge } = storageOf(configuration)
  const onWarning = (message: string): void => void printer.warning(message)
  return composeStorage(storage, {
    backends: configuredTiers(configuration),
    environment: io.environment,
    signal,
    ...(hedge !== 'off' && { read: 'hedged' as const }),
    ...(typeof hedge === 'number' && { latency: { initialMs: hedge, leastMs: hedge, mostMs: hedge } }),
    onWarning,
    onEvent: (event) => tell(event, onWarning),
  })
}

function tell(event: TierEvent, warn: (message: string) => void): void {
  // To be absent somewhere is no failure.
  if (event.type === 'backend-failed' && event.code !== 'NOT_FOUND') warn(`${event.backend}: ${event.reason}`)
  if (event.type === 'repaired') warn(`${String(event.file)} was damaged here, and is whole again`)
  if (event.type === 'repair-failed') warn(`${String(event.root)} is damaged here still: ${messageOf(event.error)}`)
  if (event.type === 'keeping-failed') warn(`what came from elsewhere is not kept here: ${messageOf(event.error)}`)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
