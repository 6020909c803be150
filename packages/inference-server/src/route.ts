import type { Scope } from './admit.ts'
import type { Dialect } from './dialect.ts'
import type { Limits } from './inference-options.ts'
import type { TensorBody } from './oip/tensor-body.ts'
import type { Described } from './openapi/described.ts'
import type { InferencePorts, ServedModel, ServedTask } from './ports.ts'

/**
 * An answer; bytes are sent as they are. Events are sent as they come, each as JSON; the work of the request goes on until their end,
 * and an error in them is the last that the client is told.
 */
export interface Answer {
  /** Default 200. */
  status?: number | undefined
  headers?: Readonly<Record<string, string>> | undefined
  body: { json: unknown } | { bytes: Uint8Array<ArrayBuffer>; type: string } | { events: AsyncGenerator }
}

/** A request, once its route is known. */
export interface Asked {
  request: Request
  ports: InferencePorts
  limits: Limits
  /** Of the client, and of the deadline. */
  signal: AbortSignal
  /** A part of the path that the route has no fixed text for. */
  parameter: (name: string) => string
  /** The JSON of its body. */
  json: () => Promise<unknown>
  /** Its body, where it is JSON with tensors behind it, or JSON alone. */
  tensors: () => Promise<TensorBody>
  /** Of the program that serves. */
  version: string | undefined
  /** Who asks, to be served in turn with others. */
  caller: string
  /** The model that the path names, under `/models/`; it is the one that is meant, whatever the body says. */
  ofPath: string | undefined
  /**
   * The model that is meant, of which the log is told.
   *
   * @param named - By the body.
   * @throws {HttpError} As `modelOfRequest`, or `modelOfPath`.
   */
  model: (tasks: readonly ServedTask[], named: string | undefined) => Promise<ServedModel>
  /**
   * Tells the log, and `ports.models`, which model it is about.
   *
   * @throws {HttpError} 404: it is gone meanwhile.
   */
  about: (model: ServedModel) => void
}

export interface Route {
  method: 'GET' | 'POST'
  /** As Hono writes it. */
  path: string
  /** Whether it is also there of one model, under `/models/{model}`. Default: where it is a POST. */
  ofModel?: boolean | undefined
  /** Whose errors it answers with. */
  dialect: Dialect
  /** What a client has to be allowed to do. Of each route, so that none is open by being forgotten. */
  scope: Scope
  /** For who asks what there is. */
  described: Described
  run: (asked: Asked) => Promise<Answer>
}
