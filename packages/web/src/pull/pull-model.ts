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

import { openOpfsPartials } from './opfs-partials.ts'
import { readsHeld } from './reads-held.ts'
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
  const store = readsHeld(storage)
  const root =
    parsed.kind === 'cid' && parsed.path === undefined ? parsed.cid : await rootOfName(storage, reference, { signal })
  const isHeld = root !== undefined && (await storage.has(root, { signal }))
  if (!isHeld) assertMayAsk(reference, offline, sources)
  const partials = await openOpfsPartials(store, { directory })
  const opened: ContentSource[] = []
  const labelled = async ({ label, open }: Extract<WebSource, { kind: 'content' }>) => {
    const source = await open()
    opened.push(source)
    return { label, source }
  }
  try {
    if (root) {
      const open = isHeld ? [] : sources
      const pulled = await pullModelByCid(store, partials, root, {
        ...options,
        sources: await Promise.all(open.flatMap((one) => (one.kind === 'content' ? [labelled(one)] : []))),
        byteSources: open.flatMap((one) => (one.kind === 'bytes' ? [one.open()] : [])),
        onFailover: ({ source, error }) => onFailover?.(source, error),
      })
      // So that lists say what it is: one that came without a manifest gets it now.
      await showManifest(store, `ipfs://${root}`, { signal })
      return { kind: 'cid', ...pulled }
    }
    const wanted = hubReference(parsed)
    const hub = sources.find((source) => source.kind === 'hub')
    if (!wanted || !hub) throw new NotFoundError(reference, { message: whyNot(reference, wanted !== undefined) })
    const pulled = await pullHubModel(store, partials, { ...options, ...wanted, hub: hub.open() })
    return { kind: 'hub', ...pulled }
  } finally {
    // One that holds connections, as a peer does, lets go of them. What came is checked and held by now, or the pull has failed and said
    // why: that a connection does not end well changes neither.
    await Promise.allSettled(opened.map((source) => source.close()))
    await partials.close()
  }
}

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
