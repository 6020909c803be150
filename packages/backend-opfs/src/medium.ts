/** A file of the store as it is once it was written. */
export interface Sealed {
  /** Bytes. */
  size: number
  /** `File.lastModified`: milliseconds since 1970. */
  modified: number
}

export interface Revision {
  /** Of the index. */
  generation: number
  /** Its length in bytes: it is only appended to, and another one has another generation. */
  size: number
}

/**
 * What a store is on: data files, each written once, and an index that is only appended to. The Origin Private File System is one
 * (`openDisk`: in dedicated workers alone, which have sync access handles), IndexedDB another.
 */
export interface Medium {
  /** What the index holds; a tail that was cut short is in it. */
  readIndex(): Promise<Uint8Array>
  /** Cuts the index down to a length. Needs no room. */
  truncateIndex(byteLength: number): Promise<void>
  /**
   * Writes what the index ends with, from `at` on: over the last byte, or after it. All of it is on the disk when it resolves;
   * killed before that, all or a part of it.
   */
  appendIndex(bytes: Uint8Array, at: number): Promise<void>
  /**
   * Another index in place of the present one: killed meanwhile, one of the two is there. When it rejects with a
   * `QuotaExceededError`, the present one is.
   */
  replaceIndex(bytes: Uint8Array): Promise<void>
  /** Begins an empty data file. */
  create(id: string): Promise<void>
  /** Appends to one that was begun: all, or nothing when it rejects with a `QuotaExceededError`. Who calls waits before it changes `bytes`. */
  write(id: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>
  /** Ends one: it is on the disk. */
  seal(id: string): Promise<Sealed>
  /** Also one that was not ended. Resolves when it was not there. */
  remove(id: string): Promise<void>
  /** Data files, ended or not. */
  list(): Promise<string[]>
  /** A data file as it is at this moment, without a copy. Rejects with a `NotFoundError` when it is not there. */
  file(id: string): Promise<File>
  /** Takes room, unless it has it, that is given up to free more. Rejects with a `QuotaExceededError` where there is none. */
  keepReserve(): Promise<void>
  /** `false`: there was none. */
  giveUpReserve(): Promise<boolean>
  /** For a reader: what changes with every write of the index. */
  revision?(): Promise<Revision>
  /** For a reader: what the index holds from a byte on; `undefined` when another one has taken its place. */
  readAppended?(generation: number, from: number): Promise<Uint8Array | undefined>
  close(): Promise<void>
}
