import type { AbortOptions } from '@x/storage-core'
import type { ByteSource } from '@x/transfer'

/** A file somewhere that knows no digests of it. */
export interface RemoteFile {
  /** `/`-separated, relative to the directory. */
  path: string
  /** Bytes. */
  size: number
  /** Changes with the file. */
  etag: string
}

/** A directory of files at a place without revisions, such as a prefix of a bucket. It is not trusted. */
export interface RemoteDirectory {
  /** What a person calls it: `s3://bucket/prefix`. Also the name it is remembered by. */
  readonly label: string
  /** Which server that is: another one may have a directory of the same name. */
  readonly endpoint: string
  /** @throws {NotFoundError} It is not there. */
  list(options?: AbortOptions): Promise<RemoteFile[]>
  /**
   * The SHA-256 that the place keeps of a file, 32 bytes. `undefined`: it keeps none.
   *
   * @throws {BackendError} The file is not the one that was listed any more.
   */
  digestOf(file: RemoteFile, options?: AbortOptions): Promise<Uint8Array | undefined>
  /** Gives the files as they were listed, or fails. */
  sourceOf(files: readonly RemoteFile[]): ByteSource
}
