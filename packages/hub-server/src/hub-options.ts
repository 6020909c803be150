export interface HubToken {
  /** Who is told to have come, in answers to `whoami` alone. */
  name: string
  token: string
}

export interface HubHandlerOptions {
  /** Who may ask. Without one of them everything is answered with 401. Default: everybody. */
  tokens?: readonly HubToken[] | undefined
  /** Which pages may read answers. `*` means any. Default: none. */
  cors?: { origins: '*' | readonly string[] } | undefined
  /**
   * What clients call this handler, such as `https://models.example.org/hub`, for links to the next page. Default: the `Host` they
   * asked for, over the scheme of the request's URL.
   */
  publicUrl?: string | undefined
  /** Entries on one page of a listing, 1 to 10_000. Default 1000. */
  pageSize?: number | undefined
  /** The longest body of a request. Bytes. Default 1_048_576. */
  maxBodyBytes?: number | undefined
  /** How long a client may send nothing of a body it promised. Default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Called once for each request, when its answer has ended. Not to throw. */
  onRequest?: ((event: HubRequestEvent) => void) | undefined
}

/** What became of one request. */
export interface HubRequestEvent {
  method: string
  /** As in the URL, percent-encoded, with its query. */
  target: string
  /** `undefined`: the client went away before there was an answer. */
  status: number | undefined
  repo?: string | undefined
  commit?: string | undefined
  /** The revision could not be looked up, and what it pointed to then was answered. */
  staleSince?: Date | undefined
  /** Bytes of the body that were handed on. */
  bytes: number
  durationMs: number
  /** `cancelled`: the client went away. `failed`: the repository did, and a body that had begun was broken off. */
  outcome: 'finished' | 'cancelled' | 'failed'
  /** What the repository rejected with, also where the answer was 404. Its message may name local paths. */
  error?: unknown
}
