import { BackendError } from '@x/storage-core'

/** The fields of what an endpoint answered; none of what is no object. */
export const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : {}

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** What an endpoint answered cannot be what was asked for. */
export const wrongAnswer = (endpoint: string, why: string, cause?: unknown): BackendError =>
  new BackendError(`endpoint ${endpoint}: ${why}`, { retryable: false, ...(cause !== undefined && { cause }) })

export const isFiniteNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

export const countOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** Unless it is told not to, text-embeddings-inference may cut a text that is too long for its model, without a word. */
export const WHOLE = { truncate: false }
