export { download } from './download.ts'
export { type DownloadOptions } from './download-options.ts'
export { type ByteRange, type ByteSource, type OutboardOptions, type ReadOptions } from './byte-source.ts'
export { contentByteSource } from './content-source.ts'
export { type DownloadEvent, type DownloadProgress, type FileProgress, type SourceProgress } from './events.ts'
export { createHasherAnywhere, type CreateHasher, type Hasher } from './hasher.ts'
export { HttpAnswerError, httpSource, type HttpSourceOptions } from './http-source.ts'
export {
  anyLocalPieces,
  createLocalPieces,
  heldLeaves,
  type KnownPiece,
  type LocalBytes,
  type LocalPieces,
  type PlacedPiece,
} from './local-pieces.ts'
export { type DownloadedFile, type DownloadReceipt, type DownloadResult } from './receipt.ts'
export { type WantedFile } from './wanted-file.ts'
