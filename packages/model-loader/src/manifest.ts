import { assertEntryName, CID, decodeDagCbor, encodeDagCbor, InvalidInputError, RAW, type Block } from '@x/cid'

import { compareText } from './compare.ts'

export interface ManifestFile {
  /** `/`-separated, relative to the model's directory. */
  path: string
  /** Bytes. */
  size: number
  /** Of the whole file: what the Hugging Face hub publishes for its large files. 32 bytes. */
  sha256: Uint8Array
  /** The same as a CID: raw, under sha2-256. An identity, not a block, for a file over 2 MiB. */
  raw: CID
  /** The file's UnixFS root. */
  root: CID
}

/**
 * What a model consists of. A pure function of its files: no times, no hosts.
 *
 * Its block is dag-cbor: `{ schema: 1, root, files: [{ path, size, sha256, raw, root }] }`, the files sorted by the UTF-8
 * bytes of their paths.
 */
export interface ModelManifest {
  schema: 1
  /** The UnixFS root of the model's directory: the model's CID. */
  root: CID
  files: readonly ManifestFile[]
}

const SHA256_BYTES = 32
/** Multihash header of sha2-256: function 0x12, 32 bytes. */
const SHA2_256_CODE = 0x12

/** Makes a manifest of files in any order. */
export function createManifest(root: CID, files: Iterable<Omit<ManifestFile, 'raw'>>): ModelManifest {
  const withRaw = Array.from(files, (file) => {
    // A Buffer would be equal in content, not in kind.
    const sha256 = Uint8Array.from(file.sha256)
    return { ...file, sha256, raw: rawCid(sha256) }
  })
  return { schema: 1, root, files: withRaw.toSorted((a, b) => compareText(a.path, b.path)) }
}

export function encodeManifest({ schema, root, files }: ModelManifest): Promise<Block> {
  return encodeDagCbor({
    schema,
    root,
    files: files.map((file) => ({
      path: file.path,
      size: file.size,
      sha256: file.sha256,
      raw: file.raw,
      root: file.root,
    })),
  })
}

/**
 * Reads a manifest's block, whose bytes were verified. Its contents are still a stranger's: every field is checked, paths
 * above all, but not whether the root has these files.
 *
 * @throws {InvalidInputError} It is no manifest, of another schema, has a path that leaves the directory, is not sorted,
 *   names a file twice, or has a raw CID that is not its sha256.
 */
export function decodeManifest(bytes: Uint8Array): ModelManifest {
  const { schema, root, files } = fieldsOf(decoded(bytes), ['schema', 'root', 'files'], 'the manifest')
  if (schema !== 1) throw refusal(`its schema is ${JSON.stringify(schema) ?? 'missing'}, not 1`)
  if (!Array.isArray(files)) throw refusal('files is no list')
  const checked = files.map((file: unknown) => toFile(file))
  checked.forEach((file, index) => {
    const previous = checked[index - 1]
    if (previous && compareText(previous.path, file.path) >= 0) {
      throw refusal(`${JSON.stringify(file.path)} is out of order or there twice`)
    }
  })
  return { schema: 1, root: toCid(root, 'root'), files: checked }
}

function decoded(bytes: Uint8Array): unknown {
  try {
    return decodeDagCbor(bytes)
  } catch (cause) {
    throw refusal('it is not dag-cbor', cause)
  }
}

function toFile(value: unknown): ManifestFile {
  const fields = fieldsOf(value, ['path', 'size', 'sha256', 'raw', 'root'], 'a file')
  const path = toPath(fields.path)
  const { size, sha256 } = fields
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw refusal(`${path} has no size`)
  if (!(sha256 instanceof Uint8Array) || sha256.length !== SHA256_BYTES) throw refusal(`${path} has no sha256`)
  const raw = toCid(fields.raw, `raw of ${path}`)
  if (!raw.equals(rawCid(sha256))) throw refusal(`the raw CID of ${path} is not its sha256`)
  return { path, size, sha256, raw, root: toCid(fields.root, `root of ${path}`) }
}

function toPath(value: unknown): string {
  if (typeof value !== 'string') throw refusal('a path is no text')
  for (const segment of value.split('/')) {
    try {
      assertEntryName(segment)
    } catch (cause) {
      throw refusal(`path ${JSON.stringify(value)} is not one inside a directory`, cause)
    }
  }
  return value
}

function toCid(value: unknown, field: string): CID {
  const cid = CID.asCID(value)
  if (cid === null) throw refusal(`${field} is no CID`)
  return cid
}

/** Exactly these fields: a manifest with others is of a schema that is not known here. */
function fieldsOf(value: unknown, names: readonly string[], what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusal(`${what} is no map`)
  const fields: Record<string, unknown> = Object.fromEntries(Object.entries(value))
  const stranger = Object.keys(fields).find((name) => !names.includes(name))
  if (stranger !== undefined) throw refusal(`${what} has an unknown field ${JSON.stringify(stranger)}`)
  return fields
}

function rawCid(sha256: Uint8Array): CID {
  const bytes = new Uint8Array(2 + SHA256_BYTES)
  bytes.set([SHA2_256_CODE, SHA256_BYTES])
  bytes.set(sha256, 2)
  return CID.createV1(RAW, { code: SHA2_256_CODE, size: SHA256_BYTES, digest: bytes.subarray(2), bytes })
}

function refusal(why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(`not a model manifest: ${why}`, { input: 'manifest', cause })
}
