import type { ServerOptions } from 'node:http'

import { InvalidInputError } from '@x/storage-core'

export interface HttpLimits {
  /** Longest time until all headers of a request are there; then 408. Default 30_000. */
  headersTimeoutMs?: number | undefined
  /** Longest time until a request is there, with its body; then 408. 0: any. Default 300_000. */
  requestTimeoutMs?: number | undefined
  /**
   * How long an answer waits for a client that takes nothing of it; then the connection is reset, and the body is cancelled.
   * Each 256 KiB that the system has room for start it anew. 0: any. Default 60_000.
   */
  readTimeoutMs?: number | undefined
  /** How long a connection stays open that nothing is asked over. Longer than a proxy keeps it. Default 65_000. */
  keepAliveTimeoutMs?: number | undefined
  /** One more is closed without an answer. Default 4096. */
  maxConnections?: number | undefined
  /** Bytes of the headers of a request; more are 431. Default 16_384. */
  maxHeaderBytes?: number | undefined
}

const DEFAULTS = {
  headersTimeoutMs: 30_000,
  requestTimeoutMs: 300_000,
  readTimeoutMs: 60_000,
  keepAliveTimeoutMs: 65_000,
  maxConnections: 4096,
  maxHeaderBytes: 16_384,
}

/** What timers take; longer ones go off at once. */
const MOST = 2 ** 31 - 1

/** How often at least it is looked who is late. */
const CHECK_MS = 5000

interface CheckedLimits {
  server: ServerOptions
  maxConnections: number
  readTimeoutMs: number
}

/** @throws {InvalidInputError} One is no number that it can be. */
export function toHttpLimits(given: HttpLimits): CheckedLimits {
  const limit = (name: keyof HttpLimits, least = 1): number => {
    const value = given[name] ?? DEFAULTS[name]
    if (Number.isSafeInteger(value) && value >= least && value <= MOST) return value
    throw new InvalidInputError(`${name} ${value} is no whole number from ${least} to ${MOST}`, {
      input: String(value),
    })
  }
  const requestTimeout = limit('requestTimeoutMs', 0)
  const headersTimeout = limit('headersTimeoutMs')
  if (requestTimeout > 0 && headersTimeout > requestTimeout) {
    const message = `headersTimeoutMs ${headersTimeout} is longer than requestTimeoutMs ${requestTimeout}`
    throw new InvalidInputError(message, { input: String(headersTimeout) })
  }
  return {
    server: {
      requestTimeout,
      headersTimeout,
      keepAliveTimeout: limit('keepAliveTimeoutMs'),
      maxHeaderSize: limit('maxHeaderBytes'),
      connectionsCheckingInterval: Math.min(CHECK_MS, Math.ceil(headersTimeout / 2)),
    },
    maxConnections: limit('maxConnections'),
    readTimeoutMs: limit('readTimeoutMs', 0),
  }
}
