import { equalBytes, foldPath, UnsupportedError } from '@x/cid'

import { fromHex, sha256, toHex } from './bytes.ts'
import { malformed } from './malformed.ts'
import type { ModelFile } from './model-files.ts'
import { problemOfPath } from './model-path.ts'
import {
  arrayAt,
  isObject,
  objectAt,
  parseStrictJson,
  stringAt,
  type JsonObject,
  type JsonValue,
} from './strict-json.ts'

/*
 * The in-toto statement of OpenSSF Model Signing v1.0, as `model_signing` 1.1.1 for Python reads and writes it in _signing/signing.py,
 * manifest.py and hashing.py: https://github.com/sigstore/model-transparency
 */
export const IN_TOTO: string = 'application/vnd.in-toto+json'
const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1'
const PREDICATE_TYPE = 'https://model_signing/signature/v1.0'

/** The digests that the format has. Bytes. */
const HASHES = { sha256: 32, blake2b: 64, blake3: 32 } as const
export type HashName = keyof typeof HASHES

/** A file, or a piece of one. */
export interface SignedPiece {
  digest: Uint8Array
  /** Where the piece lies in the file. Bytes; `undefined`: the whole file. */
  range: { start: number; end: number } | undefined
}

/** What a signature says about a model. */
export interface SignedModel {
  /** Informative: the folder's name when it was signed. */
  name: string
  hash: HashName
  /** Largest piece. Bytes; `undefined`: files are hashed whole. Files without bytes are then not listed. */
  shardSize: number | undefined
  /** Paths, with all that is below them, that the signature says nothing about. */
  ignored: string[]
  /** By path; pieces in order, without gaps. A model that is one file has the path `.` alone. */
  files: Map<string, SignedPiece[]>
}

/** What the Python tool calls the file when it signs a file and no folder. */
export const ONE_FILE: string = '.'

const WHAT = 'statement'

/**
 * Reads the payload of a bundle whose signature holds.
 *
 * @throws {SignatureError} `malformed`: also where it names a file twice, or lists digests that are not those of its subject.
 * @throws {UnsupportedError} A predicate, a way to cut files or a hash function that is not known here.
 */
export async function parseStatement(payload: Uint8Array): Promise<SignedModel> {
  const json = parseStrictJson(payload, WHAT)
  if (!isObject(json)) throw malformed(`${WHAT}: not an object`)
  if (json['_type'] !== STATEMENT_TYPE) throw malformed(`${WHAT}: _type is not ${STATEMENT_TYPE}`)
  const predicateType = stringAt(json, 'predicateType', WHAT)
  if (predicateType !== PREDICATE_TYPE) {
    throw new UnsupportedError(`${WHAT}: predicate ${JSON.stringify(predicateType)}; known is ${PREDICATE_TYPE}`)
  }
  const predicate = objectAt(json, 'predicate', WHAT)
  const serialization = readSerialization(objectAt(predicate, 'serialization', WHAT))
  const resources = arrayAt(predicate, 'resources', WHAT)
  if (resources.length === 0) throw malformed(`${WHAT}: signs no file`)
  const files = new Map<string, SignedPiece[]>()
  const digests: Uint8Array[] = []
  for (const resource of resources) {
    const { path, piece } = readResource(resource, serialization)
    digests.push(piece.digest)
    const pieces = files.get(path)
    if (!pieces) files.set(path, [piece])
    else if (piece.range) pieces.push(piece)
    else throw malformed(`${WHAT}: the file ${JSON.stringify(path)} twice`)
  }
  assertPaths([...files.keys()])
  for (const [path, pieces] of files) assertWhole(path, pieces, serialization.shardSize)

  const subjects = arrayAt(json, 'subject', WHAT)
  const [subject] = subjects
  if (subjects.length !== 1 || !isObject(subject))
    throw malformed(`${WHAT}: ${subjects.length} subjects in place of one`)
  const root = fromHex(stringAt(objectAt(subject, 'digest', WHAT), 'sha256', WHAT))
  if (!root || !equalBytes(root, await rootDigest(digests))) {
    throw malformed(`${WHAT}: the digest of its subject is not that of its resources`)
  }
  const name = subject['name']
  return { ...serialization, name: typeof name === 'string' ? name : '', files }
}

/** SHA-256 over the digests, in the order of the resources. */
function rootDigest(digests: Uint8Array[]): Promise<Uint8Array> {
  // No spread: there may be more of them than a call may have arguments.
  const all = new Uint8Array(digests.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const digest of digests) {
    all.set(digest, at)
    at += digest.length
  }
  return sha256(all)
}

type Serialization = Pick<SignedModel, 'hash' | 'shardSize' | 'ignored'>

function readSerialization(serialization: JsonObject): Serialization {
  const hash = stringAt(serialization, 'hash_type', WHAT)
  if (!isHashName(hash)) throw new UnsupportedError(`${WHAT}: hash function ${JSON.stringify(hash)}`)
  const method = stringAt(serialization, 'method', WHAT)
  if (method !== 'files' && method !== 'shards') throw new UnsupportedError(`${WHAT}: method ${JSON.stringify(method)}`)
  const ignored = 'ignore_paths' in serialization ? arrayAt(serialization, 'ignore_paths', WHAT) : []
  return {
    hash,
    shardSize: method === 'shards' ? readShardSize(serialization['shard_size']) : undefined,
    ignored: ignored.map((path) => {
      if (typeof path !== 'string') throw malformed(`${WHAT}: an ignored path is not a string`)
      // To the Python tool it is the whole model.
      if (path === '' || path === '.') throw malformed(`${WHAT}: ignores the whole model`)
      return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
    }),
  }
}

function isHashName(name: string): name is HashName {
  return Object.hasOwn(HASHES, name)
}

function readShardSize(value: JsonValue | undefined): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value
  throw malformed(`${WHAT}: shard_size is not a number of bytes`)
}

function readResource(resource: JsonValue, { hash, shardSize }: Serialization): { path: string; piece: SignedPiece } {
  if (!isObject(resource)) throw malformed(`${WHAT}: a resource is not an object`)
  const name = stringAt(resource, 'name', WHAT)
  const algorithm = stringAt(resource, 'algorithm', WHAT)
  const wanted = shardSize === undefined ? hash : `${hash}-sharded-${shardSize}`
  if (algorithm !== wanted) {
    throw malformed(
      `${WHAT}: the digest of ${JSON.stringify(name)} is called ${JSON.stringify(algorithm)}, not ${wanted}`,
    )
  }
  const digest = fromHex(stringAt(resource, 'digest', WHAT))
  if (digest?.length !== HASHES[hash]) throw malformed(`${WHAT}: ${JSON.stringify(name)} has no digest of ${hash}`)
  if (shardSize === undefined) return { path: name, piece: { digest, range: undefined } }
  const [, path = '', start, end] = /^([^:]*):(0|[1-9]\d{0,15}):([1-9]\d{0,15})$/.exec(name) ?? []
  if (start === undefined) throw malformed(`${WHAT}: ${JSON.stringify(name)} is not a path with a range`)
  return { path, piece: { digest, range: { start: Number(start), end: Number(end) } } }
}

function assertPaths(paths: string[]): void {
  if (paths.length === 1 && paths[0] === ONE_FILE) return
  const seen = new Map<string, string>()
  for (const path of paths) {
    const problem = problemOfPath(path)
    if (problem !== undefined) throw malformed(`${WHAT}: file ${JSON.stringify(path)}: ${problem}`)
    const other = seen.get(foldPath(path))
    if (other !== undefined) throw malformed(`${WHAT}: ${JSON.stringify(path)} collides with ${JSON.stringify(other)}`)
    seen.set(foldPath(path), path)
  }
}

/** Sorts the pieces of a file, and checks that they are the file. */
function assertWhole(path: string, pieces: SignedPiece[], shardSize: number | undefined): void {
  if (shardSize === undefined) return
  pieces.sort((a, b) => (a.range?.start ?? 0) - (b.range?.start ?? 0))
  let at = 0
  for (const [index, { range }] of pieces.entries()) {
    const length = (range?.end ?? 0) - (range?.start ?? 0)
    const full = index < pieces.length - 1 ? length === shardSize : length > 0 && length <= shardSize
    if (range?.start !== at || !full) throw malformed(`${WHAT}: the pieces of ${JSON.stringify(path)} are not the file`)
    at = range.end
  }
}

/**
 * The payload that says: these files.
 *
 * @param files - In the order of `comparePaths`.
 */
export async function encodeStatement(
  name: string,
  files: readonly ModelFile[],
  ignored: string[],
): Promise<Uint8Array> {
  const root = await rootDigest(files.map(({ sha256: digest }) => digest))
  const statement = {
    _type: STATEMENT_TYPE,
    subject: [{ name, digest: { sha256: toHex(root) } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      serialization: {
        method: 'files',
        hash_type: 'sha256',
        allow_symlinks: false,
        ...(ignored.length > 0 && { ignore_paths: ignored }),
      },
      resources: files.map(({ path, sha256: digest }) => ({ name: path, algorithm: 'sha256', digest: toHex(digest) })),
    },
  }
  return new TextEncoder().encode(JSON.stringify(statement))
}
