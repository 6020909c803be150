import { CrashError } from '@x/infer-core'

import type { Residence } from './residence.ts'

const CRASHES_TO_QUARANTINE = 2

/**
 * Notes that a thread ended while it ran a model.
 *
 * @param quarantineMs - How long a model that crashed twice in a row is left alone.
 * @returns Whether it is from now on.
 */
export function noteCrashOf(residence: Residence, quarantineMs: number): boolean {
  residence.crashes += 1
  if (residence.crashes < CRASHES_TO_QUARANTINE) return false
  residence.quarantinedUntilMs = Date.now() + quarantineMs
  residence.crashes = 0
  return true
}

/** @throws {CrashError} The model is left alone until `quarantinedUntilMs`. */
export function assertNotQuarantined(residence: Residence): void {
  if (residence.quarantinedUntilMs === undefined) return
  if (residence.quarantinedUntilMs > Date.now()) throw crashOf(residence)
  residence.quarantinedUntilMs = undefined
}

/** What those are told who asked for a model whose thread ended. */
export function crashOf({ model, quarantinedUntilMs }: Residence, cause?: CrashError): CrashError {
  const until = quarantinedUntilMs
  const rest = until === undefined ? '' : `; it is left alone until ${new Date(until).toISOString()}`
  return new CrashError(`${model.cid}: ${cause?.message ?? 'the threads that ran it ended'}${rest}`, {
    model: model.cid.toString(),
    quarantinedUntilMs: until,
    cause,
  })
}
