import type { ZodType } from 'zod'

import type { HeaderName } from './headers.ts'

/** What a route says of itself, for who reads the OpenAPI document. */
export interface Described {
  /** What generated clients call it: no other's, and for ever. */
  id: string
  /** One line. */
  summary: string
  description?: string | undefined
  /** Headers that a request may have for it. */
  headers?: Readonly<Record<string, string>> | undefined
  body?: DescribedBody | undefined
  /** By status; those that are errors of its API are not among them. */
  answers: Readonly<Record<number, DescribedAnswer>>
  /** Of errors that go with no body, the statuses that it has beside those of any route. */
  errors?: readonly number[] | undefined
}

export interface DescribedBody {
  /** What reads it. */
  schema: ZodType
  /** As a server of one model takes it. */
  example: unknown
  /** Whether tensors may stand behind the JSON. */
  isBinary?: boolean | undefined
}

export interface DescribedAnswer {
  summary: string
  headers?: readonly HeaderName[] | undefined
  json?: ZodType | undefined
  /** Of each event, where the request asks for a stream. */
  events?: ZodType | undefined
  /** Media types of what has no schema. */
  bytes?: readonly string[] | undefined
  /** It has no body. */
  isEmpty?: boolean | undefined
}
