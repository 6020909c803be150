import { CID, decodeDagCbor, encodeDagCbor, InvalidInputError, MAX_BLOCK_BYTES, type Block } from '@x/cid'
import { assertRepo } from '@x/hub-client/names'

import { compareText } from './compare.ts'
import { fileRole, isFileRole } from './file-role.ts'
import { assertPaths, MAX_PATH } from './manifest-paths.ts'
import type { ManifestFile, ModelManifest, ModelOrigin, OmittedFile } from './manifest.ts'
import { rawCid, SHA256_BYTES } from './raw-cid.ts'

const SCHEMA = 2
const NO_MANIFEST = 'not a model manifest'
/** Longest text of a fact, longest list of them. Far beyond what models have. */
const MAX_TEXT = 1000
const MAX_ITEMS = 1000

const FIELDS = [
  'schema',
  'root',
  'origin',
  'task',
  'architecture',
  'licence',
  'baseModels',
  'parents',
  'tags',
  'files',
  'omitted',
  'absent',
]
const FILE_FIELDS = ['path', 'size', 'sha256', 'raw', 'root', 'role', 'gitOid', 'dtype', 'tensors']
const OMITTED_FIELDS = ['path', 'size', 'sha256', 'gitOid']
const ORIGIN_FIELDS = ['repo', 'revision']

/**
 * The manifest's block, dag-cbor. What is not known is left out, and so are empty lists.
 *
 * @throws {InvalidInputError} It lists more files than go into a block of 2 MiB, some 8,000.
 */
export async function encodeManifest(manifest: ModelManifest): Promise<Block> {
  const block = await blockOf(manifest)
  if (block.bytes.length <= MAX_BLOCK_BYTES) return block
  const count = manifest.files.length + manifest.omitted.length
  throw new InvalidInputError(`${manifest.root} has ${count} files, more than a manifest of 2 MiB can list`, {
    input: manifest.root.toString(),
  })
}

/** Whether its block would be over 2 MiB, with what is still to come. */
export const isTooLong = async (
  manifest: ModelManifest,
  { spareBytes = 0 }: { spareBytes?: number } = {},
): Promise<boolean> => (await blockOf(manifest)).bytes.length + spareBytes > MAX_BLOCK_BYTES

function blockOf({
  files,
  omitted,
  origin,
  absent,
  parents,
  baseModels,
  tags,
  ...facts
}: ModelManifest): Promise<Block> {
  return encodeDagCbor(
    present({
      ...facts,
      origin: origin && present({ ...origin }),
      baseModels: filled(baseModels),
      parents: filled(parents),
      tags: filled(tags),
      files: files.map((file) => present({ ...file })),
      omitted: filled(omitted.map((file) => present({ ...file }))),
      absent: filled(absent),
    }),
  )
}

const present = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const filled = <T>(items: readonly T[]): readonly T[] | undefined => (items.length === 0 ? undefined : items)

/**
 * Reads a manifest's block, whose bytes were verified. Its contents are still a stranger's: every field is checked, paths
 * above all, but not whether the root has these files.
 *
 * @throws {InvalidInputError} It is no manifest, of another schema, has a path that leaves the directory or collides with
 *   another, is not sorted, or has a raw CID that is not its sha256.
 */
export function decodeManifest(bytes: Uint8Array): ModelManifest {
  if (bytes.length > MAX_BLOCK_BYTES) throw refusal(`it is ${bytes.length} bytes long, and no block is over 2 MiB`)
  const fields = fieldsOf(decoded(bytes), FIELDS, 'the manifest')
  if (fields.schema !== SCHEMA)
    throw refusal(`its schema is ${JSON.stringify(fields.schema) ?? 'missing'}, not ${SCHEMA}`)
  const files = listOf(fields.files, 'files', Infinity).map((file) => toFile(file))
  const omitted = optionalList(fields.omitted, 'omitted', Infinity).map((file) => toOmitted(file))
  const absent = optionalList(fields.absent, 'absent', Infinity).map((path) => toText(path, 'an absent path', MAX_PATH))
  const tags = optionalTexts(fields.tags, 'tags')
  assertSorted(files.map(({ path }) => path))
  assertSorted(omitted.map(({ path }) => path))
  assertSorted(absent)
  assertSorted(tags)
  assertPaths(NO_MANIFEST, files, omitted, absent)
  const task = optionalText(fields.task, 'task')
  const architecture = optionalText(fields.architecture, 'architecture')
  const licence = optionalText(fields.licence, 'licence')
  return {
    schema: SCHEMA,
    root: toCid(fields.root, 'root'),
    ...(fields.origin !== undefined && { origin: toOrigin(fields.origin) }),
    ...(task !== undefined && { task }),
    ...(architecture !== undefined && { architecture }),
    ...(licence !== undefined && { licence }),
    baseModels: optionalTexts(fields.baseModels, 'baseModels'),
    parents: optionalList(fields.parents, 'parents').map((cid) => toCid(cid, 'a parent')),
    tags,
    files,
    omitted,
    absent,
  }
}

function decoded(bytes: Uint8Array): unknown {
  try {
    return decodeDagCbor(bytes)
  } catch (cause) {
    throw refusal('it is not dag-cbor', cause)
  }
}

function toFile(value: unknown): ManifestFile {
  const fields = fieldsOf(value, FILE_FIELDS, 'a file')
  const path = toText(fields.path, 'a path', MAX_PATH)
  const { size, sha256, gitOid } = sizeAndDigests(fields, path)
  if (!sha256) throw refusal(`${path} has no sha256`)
  const raw = toCid(fields.raw, `raw of ${path}`)
  if (!raw.equals(rawCid(sha256))) throw refusal(`the raw CID of ${path} is not its sha256`)
  const { role } = fields
  if (!isFileRole(role) || role !== fileRole(path)) throw refusal(`${path} has not the role ${fileRole(path)}`)
  const dtype = optionalText(fields.dtype, `dtype of ${path}`)
  return {
    path,
    size,
    sha256,
    raw,
    root: toCid(fields.root, `root of ${path}`),
    role,
    ...(gitOid !== undefined && { gitOid }),
    ...(dtype !== undefined && { dtype }),
    ...(fields.tensors !== undefined && { tensors: toCid(fields.tensors, `tensors of ${path}`) }),
  }
}

function toOmitted(value: unknown): OmittedFile {
  const fields = fieldsOf(value, OMITTED_FIELDS, 'an omitted file')
  const path = toText(fields.path, 'a path', MAX_PATH)
  const { size, sha256, gitOid } = sizeAndDigests(fields, path)
  return { path, size, ...(sha256 && { sha256 }), ...(gitOid !== undefined && { gitOid }) }
}

function sizeAndDigests(
  { size, sha256, gitOid }: Record<string, unknown>,
  path: string,
): { size: number; sha256?: Uint8Array; gitOid?: string } {
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw refusal(`${path} has no size`)
  if (sha256 !== undefined && !(sha256 instanceof Uint8Array && sha256.length === SHA256_BYTES)) {
    throw refusal(`${path} has no sha256`)
  }
  if (gitOid !== undefined && !isGitOid(gitOid)) throw refusal(`the git oid of ${path} is none`)
  return { size, ...(sha256 && { sha256 }), ...(gitOid !== undefined && { gitOid }) }
}

function toOrigin(value: unknown): ModelOrigin {
  const fields = fieldsOf(value, ORIGIN_FIELDS, 'the origin')
  const repo = toText(fields.repo, 'the repository')
  try {
    assertRepo(repo)
  } catch (cause) {
    throw refusal(cause instanceof Error ? cause.message : String(cause), cause)
  }
  const { revision } = fields
  if (!isGitOid(revision)) throw refusal('the revision of its origin is no commit')
  return { repo, revision }
}

/** 40 hexadecimal digits in lower case: what git calls objects and commits. */
const isGitOid = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{40}$/.test(value)

function listOf(value: unknown, field: string, most = MAX_ITEMS): unknown[] {
  if (!Array.isArray(value)) throw refusal(`${field} is no list`)
  if (value.length > most) throw refusal(`${field} has over ${most} items`)
  return value
}

/** An empty list is left out, so that one content has one encoding. */
function optionalList(value: unknown, field: string, most?: number): unknown[] {
  if (value === undefined) return []
  const list = listOf(value, field, most)
  if (list.length === 0) throw refusal(`${field} is an empty list`)
  return list
}

const optionalTexts = (value: unknown, field: string): string[] =>
  optionalList(value, field).map((item) => toText(item, `one of ${field}`))

const optionalText = (value: unknown, field: string): string | undefined =>
  value === undefined ? undefined : toText(value, field)

function toText(value: unknown, what: string, most = MAX_TEXT): string {
  if (typeof value !== 'string') throw refusal(`${what} is no text`)
  if (value.length > most) throw refusal(`${what} is over ${most} characters long`)
  return value
}

function toCid(value: unknown, field: string): CID {
  const cid = CID.asCID(value)
  if (cid === null) throw refusal(`${field} is no CID`)
  return cid
}

function assertSorted(items: readonly string[]): void {
  items.forEach((item, index) => {
    const previous = items[index - 1]
    if (previous !== undefined && compareText(previous, item) >= 0) {
      throw refusal(`${JSON.stringify(item)} is out of order or there twice`)
    }
  })
}

/** No fields but these: a manifest with others is of a schema that is not known here. */
function fieldsOf(value: unknown, names: readonly string[], what: string): Record<string, unknown> {
  if (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    value instanceof Uint8Array ||
    CID.asCID(value)
  ) {
    throw refusal(`${what} is no map`)
  }
  const fields: Record<string, unknown> = Object.fromEntries(Object.entries(value))
  const stranger = Object.keys(fields).find((name) => !names.includes(name))
  if (stranger !== undefined) throw refusal(`${what} has an unknown field ${JSON.stringify(stranger)}`)
  return fields
}

function refusal(why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(`${NO_MANIFEST}: ${why}`, { input: 'manifest', cause })
}
