/**
 * What the main thread asks of a worker. Bytes of large files do not cross the thread boundary: a worker reads them from
 * the descriptor, which all threads of a process share.
 */
export type Job = HashLeavesJob | ReadLeavesJob | ReadFilesJob

/** What is hashed beside a leaf's own bytes; of a raw leaf, nothing. */
export interface Frame {
  before: Uint8Array
  after: Uint8Array
}

/** How a file is cut into leaves. All but the last are of one length. */
export interface Cut {
  /** Where the file starts behind the descriptor. Bytes. */
  start: number
  fileBytes: number
  leafBytes: number
  frame: Frame | undefined
  lastFrame: Frame | undefined
}

/**
 * Hashes leaves of a file that are left, one after another, together with all other workers that got the same job, and
 * ends after a while, so that jobs of others get their turn.
 */
export interface HashLeavesJob {
  type: 'hash-leaves'
  descriptor: number
  /** Where each leaf is written, before it is hashed. */
  target: number | undefined
  cut: Cut
  /** Three counters: the next leaf; not 0 when the job is to end; leaves done. */
  control: Int32Array<SharedArrayBuffer>
  /** 32 bytes a leaf. */
  digests: Uint8Array<SharedArrayBuffer>
}

export const NEXT = 0
export const STOP = 1
export const DONE = 2

/** Reads a run of leaves and hashes each. */
export interface ReadLeavesJob {
  type: 'read-leaves'
  descriptor: number
  cut: Cut
  first: number
  end: number
  /** To read into, where it is long enough. It comes back with the result. */
  into: ArrayBuffer | undefined
}

/** Reads small files as they are at one moment, and hashes each. */
export interface ReadFilesJob {
  type: 'read-files'
  /** With a NUL between two of them: one string crosses the thread boundary in less time than many. */
  paths: string
  /** A file that is larger is left alone. Bytes. */
  maxBytes: number
  /** To give the bytes back in, where it is long enough. */
  into: ArrayBuffer | undefined
}

/** In the place of a length: the file has more than `maxBytes`. */
export const TOO_LARGE = -1
/** In the place of a length: see `failures`. */
export const NOT_READ = -2

/** Why a file was not read: it changed meanwhile, or the system's failure. */
export interface ReadFailure {
  index: number
  message: string
  /** Of a failure of the system. */
  code: string | undefined
  /** Where the system's number has no name in libuv, it is all that tells. */
  errno: number | undefined
}

export interface Results {
  'hash-leaves': undefined
  /** `bytes` is shorter than asked for where the file ends early. */
  'read-leaves': { bytes: Uint8Array<ArrayBuffer>; digests: Uint8Array<ArrayBuffer> }
  /** `bytes`: of all files that were read, one after another; `digests`: 32 bytes for each file that was asked for. */
  'read-files': {
    bytes: Uint8Array<ArrayBuffer>
    digests: Uint8Array<ArrayBuffer>
    lengths: Int32Array<ArrayBuffer>
    failures: ReadFailure[]
  }
}

export interface Request {
  id: number
  job: Job
}

export type Reply =
  | { id: number; result: Results[Job['type']] }
  | { id: number; failure: Omit<ReadFailure, 'index'> & { syscall: string | undefined } }
