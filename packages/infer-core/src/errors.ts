import { StorageError } from '@x/cid'

/** More is asked for than can be taken on: HTTP's 429. Nothing was begun; ask again later. */
export class BusyError extends StorageError {
  override readonly name = 'BusyError'
  readonly code = 'BUSY'
  /** Who has as much as one may have; `undefined`: all together have. */
  readonly caller: string | undefined
  constructor(message: string, { caller, ...options }: ErrorOptions & { caller?: string | undefined } = {}) {
    super(message, options)
    this.caller = caller
  }
}

/** What ran a request ended in the middle of it. The same request may succeed when it is asked again. */
export class CrashError extends StorageError {
  override readonly name = 'CrashError'
  readonly code = 'CRASH'
  /** The model that was running. */
  readonly model: string
  /** No more is tried with this model until then. Milliseconds since 1970; `undefined`: it may be tried at once. */
  readonly quarantinedUntilMs: number | undefined
  constructor(
    message: string,
    {
      model,
      quarantinedUntilMs,
      ...options
    }: ErrorOptions & { model: string; quarantinedUntilMs?: number | undefined },
  ) {
    super(message, options)
    this.model = model
    this.quarantinedUntilMs = quarantinedUntilMs
  }
}
