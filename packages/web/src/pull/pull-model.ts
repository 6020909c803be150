import type { OpfsStore } from '@x/backend-opfs'
import { InvalidInputError, type CID } from '@x/cid'
import {
  hubReference,
  parseReference,
  pullHubModel,
  pullModelByCid,
  resolveReference,
  showManifest,
  type PulledHubModel,
  type PulledModel,
  type PullModelOptions as LoaderOptions,
  type SelectFilesOptions,
} from '@x/model-loader'
import { GatedError, isStorageError, NotFoundError, type AbortOptions, type ContentSource } from '@x/storage-core'
import type { ByteSource } from '@x/transfer'

import { canRecord, openOpfsPartials } from './opfs-partials.ts'
import { openPageMemoryPartials } from './page-memory-partials.ts'
import type { WebSource } from './sources.ts'

export interface PullModelOptions
  extends Omit<LoaderOptions, 'createHasher' | 'createSha256'>, Omit<SelectFilesOptions, 'config'> {
  /** Where the model may be; all are asked at once. Of a model that is held nobody is. */
  sources?: readonly WebSource[] | undefined
  /** The manifest of a model that is named by a CID; see `pullModelByCid` of `@x/model-loader`. */
  manifest?: CID | undefined
  /** Nobody is asked: what is not held is an error. Default false. */
  offline?: boolean | undefined
  /** As of `openStorage`; the partial files lie beside it. */
  directory?: string | undefined
  /** A source of directories failed, and another one stands in. */
  onFailover?: ((label: string, error: unknown) => void) | undefined
}

export type PulledFrom = ({ kind: 'cid' } & PulledModel) | ({ kind: 'hub' } & PulledHubModel)

/**
 * Brings a model into the page's storage, each byte checked before it is kept. What had come when the page was closed or killed is there the next time.
 *
 * @param reference - `ipfs://<cid>`, a CID, `hf://org/name[@revision]`, or `org/name`: a name of the storage, else of the hub that is among the sources. A
 *   CID is answered by that CID, and never by a hub.
 * @throws {NotFoundError} No source has it.
 * @throws {IntegrityError} What came is something else; it names the file.
 * @throws {GatedError} `offline`, or nobody was named who may be asked.
 * @throws {NoSpaceError} It does not fit; before anything is fetched.
 */
export async function pullModel(
  storage: OpfsStore,
  reference: string,
  options: PullModelOptions = {},
): Promise<PulledFrom> {
  const { sources = [], offline = false, directory, signal, onFailover } = options
  const parsed = parseReference(reference)
  const root =
    parsed.kind === 'cid' && parsed.path === undefined ? parsed.cid : await rootOfName(storage, reference, { signal })
  const isHeld = root !== undefined && (await storage.has(root, { signal }))
  if (!isHeld) assertMayAsk(reference, offline, sources)
  // In memory nothing is there the next time; what is held needs none.
  const partials =
    isHeld || !(await canRecord()) ? openPageMemoryPartials(storage) : await openOpfsPartials(storage, { directory })
  const opened: ContentSource[] = []
  const nameOf = distinctNames()
  const openAll = async (asked: readonly WebSource[]): Promise<{ label: string; source: ContentSource }[]> => {
    const content = asked.filter((one) => one.kind === 'content')
    const all = await Promise.allSettled(
      content.map(async ({ label, open }) => {
        const source = await open()
        opened.push(source)
        return { label: nameOf(label), source }
      }),
    )
    const failures = all.flatMap((one, index) =>
      one.status === 'rejected' ? [{ label: content[index]?.label ?? '', error: one.reason as unknown }] : [],
    )
    // With nobody left, why. A hub knows nothing of a CID.
    const isLeft = asked.some(({ kind }) => kind === 'bytes') || failures.length < content.length
    if (failures.length > 0 && !isLeft) throw failures[0]?.error
    for (const { label, error } of failures) onFailover?.(label, error)
    return all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  }
  try {
    if (root) {
      const open = isHeld ? [] : sources
      const pulled = await pullModelByCid(storage, partials, root, {
        ...options,
        sources: await openAll(open),
        byteSources: open.flatMap((one) => (one.kind === 'bytes' ? [renamed(one.open(), nameOf)] : [])),
        onFailover: ({ source, error }) => onFailover?.(source, error),
      })
      // So that lists say what it is: one that came without a manifest gets it now.
      await showManifest(storage, `ipfs://${root}`, { signal })
      return { kind: 'cid', ...pulled }
    }
    const wanted = hubReference(parsed)
    const hub = sources.find((source) => source.kind === 'hub')
    if (!wanted || !hub) throw new NotFoundError(reference, { message: whyNot(reference, wanted !== undefined) })
    const pulled = await pullHubModel(storage, partials, { ...options, ...wanted, hub: hub.open() })
    return { kind: 'hub', ...pulled }
  } finally {
    // One that holds connections, as a peer does, lets go of them. What came is checked and held by now, or the pull has failed and said
    // why: that a connection does not end well changes neither.
    await Promise.allSettled(opened.map((source) => source.close()))
    await partials.close()
  }
}

/** Two of one host are told apart by a number. */
function distinctNames(): (name: string) => string {
  const counts = new Map<string, number>()
  return (name) => {
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return count === 1 ? name : `${name} (${count})`
  }
}

const renamed = (source: ByteSource, nameOf: (name: string) => string): ByteSource => ({
  ...source,
  name: nameOf(source.name),
})

const whyNot = (reference: string, isOfHub: boolean): string =>
  isOfHub
    ? `${reference} is no name of the storage, and none of the sources is a hub`
    : `${reference}: a model is pulled by CID, or from a hub`

function assertMayAsk(reference: string, offline: boolean, sources: readonly WebSource[]): void {
  if (offline) throw new GatedError(`offline, so nobody was asked for ${reference}`, { feature: 'network' })
  if (sources.length > 0) return
  throw new InvalidInputError(`no source was named for ${reference}`, { input: reference })
}

/** `undefined`: the storage does not know the name. */
async function rootOfName(storage: OpfsStore, reference: string, options: AbortOptions): Promise<CID | undefined> {
  try {
    return (await resolveReference(storage, reference, options)).cid
  } catch (error) {
    if (isStorageError(error) && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}
