import { CID, DAG_CBOR, decodeDagCbor, encodeDagCbor, InvalidInputError, RAW, type Block } from '@x/cid'
import {
  ConflictError,
  exportCar,
  importCar,
  NotFoundError,
  type AbortOptions,
  type BlockSource,
  type ContentStore,
  type ExportCarOptions,
  type ImportCarProgress,
} from '@x/storage-core'

import { adoptManifest, type AdoptedManifest } from './adopt-manifest.ts'
import { assertVersion } from './assert-version.ts'
import { describeFiles, type DescribedFiles } from './describe-files.ts'
import { giveName } from './give-name.ts'
import { decodeManifest } from './manifest-encoding.ts'
import { findManifest, keepManifest } from './manifest-record.ts'
import { listModelFiles } from './model-files.ts'
import { resolveReference } from './resolve-reference.ts'
import type { CreateSha256 } from './sha256.ts'
import { keepSidecar, listSidecars, SIDECAR_KINDS, type SidecarKind } from './sidecars.ts'
import { assertModelName, versionName } from './versions.ts'

/**
 * The root of a pack: a dag-cbor block that links to the model and to what is kept beside it. The latter are linked as
 * raw blocks, for what a manifest links to is no part of a pack: models it was made from, and raw CIDs of whole files.
 */
interface Pack {
  schema: 1
  model: CID
  name?: string
  version?: string
  sidecars: Record<SidecarKind, readonly CID[]>
}

/** Manifests, and signatures, of one model. A model has a few: one for each place that it was published at, one for each signer. */
const MAX_BESIDE = 64

type ByteSource = Parameters<typeof importCar>[1]

export interface PackModelOptions extends ExportCarOptions {
  /** What the model shall be called where it is unpacked. Default: the name and version of the reference, if it has them. */
  name?: string | undefined
  version?: string | undefined
  /** For a manifest that has to be made anew; see `AddModelOptions`. */
  createSha256?: CreateSha256 | undefined
}

/**
 * A model as a CAR with everything that is needed to run it offline: its files, its manifest, tensor tables and
 * signatures, and its name. Each block is checked. The same model gives the same bytes while nothing is added beside it.
 *
 * @param reference - As for `openModel`.
 * @throws {InvalidInputError} It has over 64 manifests or signatures.
 * @throws As `exportCar` and `resolveReference`.
 */
export async function* packModel(
  store: ContentStore,
  reference: string,
  { name, version, createSha256, ...options }: PackModelOptions = {},
): AsyncGenerator<Uint8Array> {
  const { signal } = options
  const resolved = await resolveReference(store, reference, { signal })
  const root = resolved.cid
  const [knownName, knownVersion] = resolved.name?.split('@') ?? []
  const files = await listModelFiles(store, root, { signal })
  // It may have none yet, and a pack without one would have to be hashed where it is unpacked.
  await findManifest(store, root, files, { signal, createSha256 })
  const sidecars: Record<SidecarKind, CID[]> = { manifests: [], tensors: [], signatures: [] }
  const beside = new Map<string, CID>()
  for (const kind of SIDECAR_KINDS) {
    for (const { cid } of await listSidecars(store, kind, root, { signal })) {
      const raw = CID.createV1(RAW, cid.multihash)
      sidecars[kind].push(raw)
      beside.set(raw.toString(), cid)
    }
  }
  for (const kind of ['manifests', 'signatures'] as const) {
    const { length } = sidecars[kind]
    if (length > MAX_BESIDE) {
      throw new InvalidInputError(`${root} has ${length} ${kind}; a pack has ${MAX_BESIDE} at most`, {
        input: reference,
      })
    }
  }
  const given = { name: name ?? knownName, version: version ?? (name === undefined ? knownVersion : undefined) }
  const pack = await encodePack({
    schema: 1,
    model: root,
    ...(given.name !== undefined && { name: given.name }),
    ...(given.version !== undefined && { version: given.version }),
    sidecars,
  })
  const { blocks } = store
  const get: BlockSource['get'] = async (cid, getOptions) => {
    if (cid.equals(pack.cid)) return pack.bytes
    return blocks.get(beside.get(cid.toString()) ?? cid, getOptions)
  }
  const has: BlockSource['has'] = async (cid, hasOptions) => cid.equals(pack.cid) || blocks.has(cid, hasOptions)
  yield* exportCar({ blocks: { name: store.name, get, has, close: async () => {} } }, pack.cid, options)
}

export interface UnpackModelOptions extends AbortOptions {
  /** Keep the model from `gc`. Default true. */
  pin?: boolean | undefined
  /**
   * What to call it; a name that is there moves. Default: what the pack says, unless that is another model here; `null`:
   * nothing.
   */
  name?: string | null | undefined
  /** To check what the pack says of its files; see `AddModelOptions`. */
  createSha256?: CreateSha256 | undefined
  onProgress?: ((event: ImportCarProgress) => void) | undefined
}

export interface UnpackedModel {
  cid: CID
  /** What it is called now. */
  name?: string | undefined
  version?: string | undefined
  /** Blocks in the CAR. */
  blocks: number
  /** Bytes of these blocks. */
  size: number
}

/**
 * Takes in what `packModel` wrote. Every block is checked, and the manifest against the files; what is kept beside the
 * model is kept here too. That the model was published where the manifest says is the word of who packed it. What is refused leaves nothing visible.
 *
 * @throws {InvalidInputError} It is no pack, or its manifest is none or of other files.
 * @throws {ConflictError} The version is there, and is another model; or the name that the pack brings is.
 * @throws As `importCar`.
 */
export async function unpackModel(
  store: ContentStore,
  source: ByteSource,
  { pin, name: wantedName, signal, createSha256, onProgress }: UnpackModelOptions = {},
): Promise<UnpackedModel> {
  let unpacked: CheckedPack | undefined
  const namingOf = (pack: Pack): Pick<Pack, 'name' | 'version'> => {
    const name = wantedName === undefined ? pack.name : (wantedName ?? undefined)
    const version = name === pack.name ? pack.version : undefined
    return { ...(name !== undefined && { name }), ...(version !== undefined && { version }) }
  }
  const rootsToRecord = async ([root, ...more]: readonly CID[]): Promise<readonly CID[]> => {
    if (root === undefined || more.length > 0) throw refusal('it has not one root')
    const pack = decodePack(await store.blocks.get(root, { signal }))
    await assertNameFree(
      store,
      { model: pack.model, ...namingOf(pack) },
      { isChosen: wantedName !== undefined, signal },
    )
    unpacked = await explained(async () => checkPack(store, pack, { signal, createSha256 }))
    return [unpacked.model]
  }
  const { blocks, size } = await importCar(store, source, { pin, signal, onProgress, rootsToRecord })
  if (!unpacked) throw new Error('a CAR was imported without its roots being recorded')
  const { model } = unpacked
  for await (const { manifest, ...adopted } of unpacked.manifests()) {
    await keepManifest(store, manifest, { ...adopted, signal })
  }
  for await (const block of unpacked.signatures()) await keepSidecar(store, 'signatures', model, block, { signal })
  const naming = namingOf(unpacked)
  await giveName(store, model, { ...naming, signal })
  return { cid: model, ...naming, blocks, size }
}

/**
 * Before anything is recorded: a version never comes to mean another model, and what a pack calls itself takes no name from
 * another one, for whoever made it chose that name.
 */
async function assertNameFree(
  store: ContentStore,
  { model, name, version }: Pick<Pack, 'model' | 'name' | 'version'>,
  { isChosen, signal }: AbortOptions & { isChosen: boolean },
): Promise<void> {
  if (name === undefined) return
  const taken = async (key: string, why: string): Promise<void> => {
    const current = (await store.names.get(key, { signal }))?.cid
    if (current === undefined || current.toV1().equals(model.toV1())) return
    throw new ConflictError(`${key} is ${current} already; ${why}`, { current })
  }
  if (version !== undefined) {
    await taken(versionName(name, version), 'a version does not come to mean another model')
  }
  if (!isChosen) await taken(name, 'the packed model does not take its name unless it is told to, by that name')
}

/** Says that it is the pack that lacks what is missing. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof NotFoundError) || cause.cid === undefined) throw cause
    const message = `the packed model is not complete: the CAR lacks ${cause.cid}, and the store does not hold it`
    throw new NotFoundError(cause.what, { cid: cause.cid, message, cause })
  }
}

/** What is beside the model is read anew, one at a time: a stranger says how much there is. */
interface CheckedPack extends Pack {
  manifests: () => AsyncIterable<AdoptedManifest>
  signatures: () => AsyncIterable<Block>
}

/** Before anything of it is recorded. */
async function checkPack(
  store: ContentStore,
  pack: Pack,
  { signal, createSha256 }: UnpackModelOptions,
): Promise<CheckedPack> {
  const { model, sidecars } = pack
  const files = await listModelFiles(store, model, { signal })
  // Each block was checked when it was imported.
  const read = (path: string): AsyncIterable<Uint8Array> => store.cat(model, { path, verify: 'stored', signal })
  // Once, however many manifests a stranger packed.
  let described: Promise<DescribedFiles> | undefined
  const describe = (): Promise<DescribedFiles> => (described ??= describeFiles(files, read, { createSha256 }))
  async function* manifests(): AsyncGenerator<AdoptedManifest> {
    for (const raw of sidecars.manifests) {
      const { bytes } = await dagCborOf(store, raw, signal)
      const given = decodeManifest(bytes)
      if (!given.root.toV1().equals(model.toV1())) throw refusal('a manifest in it is of another model')
      yield adoptManifest(given, files, describe)
    }
  }
  async function* signatures(): AsyncGenerator<Block> {
    for (const raw of sidecars.signatures) {
      const block = await dagCborOf(store, raw, signal)
      const { bundle } = mapOf(decoded(block.bytes, 'a signature in it'), ['schema', 'bundle'], 'a signature in it')
      if (!(bundle instanceof Uint8Array)) throw refusal('a signature in it has no bundle')
      yield block
    }
  }
  for (const each of [manifests(), signatures()]) {
    while ((await each.next()).done !== true) signal?.throwIfAborted()
  }
  return { ...pack, manifests, signatures }
}

async function dagCborOf(store: ContentStore, raw: CID, signal: AbortSignal | undefined): Promise<Block> {
  const bytes = await store.blocks.get(raw, { signal })
  const cid = CID.createV1(DAG_CBOR, raw.multihash)
  return { cid, bytes }
}

const encodePack = (pack: Pack): Promise<Block> => encodeDagCbor({ ...pack })

function decodePack(bytes: Uint8Array): Pack {
  const fields = mapOf(decoded(bytes), ['schema', 'model', 'name', 'version', 'sidecars'])
  if (fields.schema !== 1) throw refusal(`its schema is ${JSON.stringify(fields.schema) ?? 'missing'}, not 1`)
  const model = CID.asCID(fields.model)
  if (model === null) throw refusal('it names no model')
  const { name, version } = fields
  if (name !== undefined) {
    if (typeof name !== 'string') throw refusal('its name is no text')
    assertModelName(name)
  }
  if (version !== undefined) {
    if (typeof version !== 'string' || name === undefined) throw refusal('its version is no text, or has no name')
    assertVersion(version)
  }
  const lists = mapOf(fields.sidecars, SIDECAR_KINDS)
  const listOf = (kind: SidecarKind): CID[] => {
    const items: unknown = lists[kind]
    if (!Array.isArray(items)) throw refusal(`its ${kind} are no list`)
    // Of tensor tables a model has thousands; these are made anew, not read.
    if (kind !== 'tensors' && items.length > MAX_BESIDE) throw refusal(`it has over ${MAX_BESIDE} ${kind}`)
    const seen = new Set<string>()
    return items.map((item: unknown) => {
      const cid = CID.asCID(item)
      if (cid?.code !== RAW) throw refusal(`one of its ${kind} is no raw block`)
      if (seen.has(cid.toString())) throw refusal(`one of its ${kind} is there twice`)
      seen.add(cid.toString())
      return cid
    })
  }
  return {
    schema: 1,
    model,
    ...(typeof name === 'string' && { name }),
    ...(typeof version === 'string' && { version }),
    sidecars: { manifests: listOf('manifests'), tensors: listOf('tensors'), signatures: listOf('signatures') },
  }
}

function decoded(bytes: Uint8Array, what = 'its root'): unknown {
  try {
    return decodeDagCbor(bytes)
  } catch (cause) {
    throw refusal(`${what} is not dag-cbor`, cause)
  }
}

function mapOf(value: unknown, names: readonly string[], what = 'its root'): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusal(`${what} is no map`)
  const fields: Record<string, unknown> = Object.fromEntries(Object.entries(value))
  const stranger = Object.keys(fields).find((key) => !names.includes(key))
  if (stranger !== undefined) throw refusal(`it has an unknown field ${JSON.stringify(stranger)}`)
  return fields
}

const refusal = (why: string, cause?: unknown): InvalidInputError =>
  new InvalidInputError(`the CAR is no packed model: ${why}`, { input: 'CAR', cause })
