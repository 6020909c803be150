/** A worker that hashes. */
export interface HashWorker {
  /** Moves the whole buffer of `job.bytes` to the worker. */
  post(job: HashJob): void
  /** Whether it keeps the process alive. Not at first. */
  keepAlive(isNeeded: boolean): void
  terminate(): void
}

export interface HashJob {
  id: number
  bytes: Uint8Array<ArrayBuffer>
}

export interface HashWorkerEvents {
  onMessage: (message: unknown) => void
  /** It failed, or ended without being told to. Called once at most. */
  onDeath: (cause: unknown) => void
}

/** What hashing needs of the platform. `#hash-platform` in package.json chooses; this module is its type alone. */
export interface HashPlatform {
  /** 32 bytes. At once where the platform can. */
  sha256(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
  /** Cores that this process may use. */
  cores(): number
  /** Throws where workers cannot be started. */
  startWorker(events: HashWorkerEvents): HashWorker
  /** A timer that does not keep the process alive. Returns what cancels it. */
  later(callback: () => void, delayMs: number): () => void
  /** Lets timers and messages in before the next hash that blocks. */
  nextTurn(): Promise<void>
}

export declare const platform: HashPlatform
