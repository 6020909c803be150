import { effect } from '@preact/signals'
import { CID, InvalidInputError } from '@x/cid'
import { hubReference, parseReference } from '@x/model-loader'
import { GatedError, NotFoundError } from '@x/storage-core'
import type { DownloadEvent, DownloadProgress } from '@x/transfer'
import {
  canResume,
  discardUnfinished,
  gatewaySource,
  hubSource,
  pullModel,
  type GatewayPlace,
  type PullModelOptions,
  type WebSource,
} from '@x/web'

import {
  listInterrupted,
  startAddition,
  type AdditionOptions,
  type AdditionProgress,
  type AdditionTask,
  type SourceProblem,
} from './additions.ts'
import { hub } from './hub.ts'
import { assertSound } from './model-actions.ts'
import { models, modelsChanged } from './models.ts'
import { worksOffline } from './offline.ts'
import { peerSource } from './peer-source.ts'
import type { ServedModel } from './read-served.ts'
import { lookAtRoom } from './room.ts'
import { serverBase, serverHeaders } from './server-access.ts'
import { server, serverOnceAsked } from './server.ts'
import { gateways, peers } from './sources.ts'
import { storeOnceOpen } from './storage.ts'
import {
  forgetUnfinished,
  interrupted,
  noteUnfinished,
  underWay,
  unfinished,
  unfinishedOf,
  whileDownloading,
} from './unfinished.ts'

/** What is to be added: by content, or by a name that a hub knows. */
export type Wanted = { kind: 'cid'; cid: CID; name: string | undefined } | { kind: 'hub'; reference: string }

/**
 * What the user wrote: a CID, `ipfs://<cid>`, the name of a model that this page's server serves, or what a hub has.
 *
 * @throws {InvalidInputError} It is none of these.
 * @throws {NotFoundError} Nobody here knows a model of that name.
 */
export function wanted(text: string): Wanted {
  const written = text.trim()
  const reference = parseReference(written)
  if (reference.kind === 'cid') {
    const { cid } = reference
    return { kind: 'cid', cid, name: served().find((model) => CID.parse(model.cid).equals(cid))?.name }
  }
  if (reference.kind !== 'name' && reference.kind !== 'hub') {
    throw new InvalidInputError(
      'a CID, ipfs://<CID>, hf://<org>/<name> or the name of a model on this server is wanted',
      {
        input: text,
      },
    )
  }
  const model = reference.kind === 'name' ? served().find(({ name }) => name === reference.name) : undefined
  if (model) return { kind: 'cid', cid: CID.parse(model.cid), name: model.name }
  if (!hubReference(reference) || (reference.kind === 'name' && !hub.value.isAsked)) {
    throw new NotFoundError(written, {
      message: `no model called ${written} is known here; give its CID instead, or switch a hub on under Network`,
    })
  }
  return { kind: 'hub', reference: written }
}

const served = (): readonly ServedModel[] => (server.value.kind === 'there' ? server.value.models : [])

export function add(what: Wanted): void {
  if (what.kind === 'cid') addByReference(what.cid, what.name)
  else addFromHub(what.reference)
}

/** Fetches a model by its CID from all sources that there are; each byte is checked before it is kept. */
export function addByReference(cid: CID, name: string | undefined): void {
  startAddition(additionOf(`ipfs://${cid}`, name))
}

/** Fetches what a hub calls so; each file is checked by what the hub lists of it, and has its CID from then on. */
function addFromHub(reference: string): void {
  startAddition(additionOf(reference, undefined))
}

/** Lists what a page that was closed or killed was at, for the user to go on with. */
export async function listUnfinished(): Promise<void> {
  for (const { reference, name, loaded, total } of await interrupted()) {
    listInterrupted(additionOf(reference, name), { loaded, total })
  }
}

/** Of what was got so far, the rest is noted at each of so many parts. */
const NOTED_PARTS = 100

function additionOf(reference: string, name: string | undefined): AdditionOptions {
  return {
    key: reference,
    title: name ?? reference.replace('ipfs://', ''),
    async work(task) {
      const cid = await whileDownloading(reference, () => fetchModel(reference, name, task))
      await assertSound(cid)
      return cid
    },
    async after() {
      await modelsChanged()
      await freeLeftovers()
    },
    dismissed: () => giveUp(reference),
  }
}

async function fetchModel(
  reference: string,
  name: string | undefined,
  { signal, report }: AdditionTask,
): Promise<string> {
  const options = await howToPull(reference, name)
  const store = await storeOnceOpen()
  const isKept = await canResume()
  // A try that comes to nothing leaves what an earlier one brought.
  let noted = unfinishedOf(reference)?.loaded ?? 0
  let total: number | undefined
  const note = (loaded: number): void => {
    noted = loaded
    if (isKept) noteUnfinished({ reference, name, loaded, total })
  }
  const network = untilOffline()
  let last: AdditionProgress | undefined
  const problems = new Map<string, SourceProblem>()
  const tell = (progress = last): void => {
    if (progress) report((last = { ...progress, problems: [...problems.values()] }))
  }
  const blame = (problem: SourceProblem | undefined): void => {
    if (problem) problems.set(problem.source, problem)
    tell()
  }
  try {
    const { cid } = await pullModel(store, reference, {
      ...options,
      signal: AbortSignal.any([signal, network.signal]),
      onFailover: (source, error) => blame({ source, text: messageOf(error) }),
      onEvent: (event) => blame(problemOf(event)),
      onProgress(progress) {
        tell(shown(progress))
        const { loaded, size } = progress.total
        if (Math.abs(loaded - noted) < size / NOTED_PARTS) return
        total = size
        note(loaded)
      },
    })
    forgetUnfinished(reference)
    return cid.toString()
  } catch (error) {
    // The last of what came, too.
    if (last && last.loaded > 0) {
      total = last.total
      note(last.loaded)
    }
    throw error
  } finally {
    network.forget()
  }
}

/** Forgets what had come. What a tab is at stays. */
async function giveUp(reference: string): Promise<void> {
  if ((await underWay()).has(reference)) return
  forgetUnfinished(reference)
  await freeLeftovers()
}

/**
 * Frees what came of downloads that nobody goes on with, once there is none that somebody may go on with: a file may be of
 * several.
 */
async function freeLeftovers(): Promise<void> {
  if (unfinished().length > 0 || (await underWay()).size > 0) return
  await discardUnfinished(await storeOnceOpen())
  await lookAtRoom()
}

/** @throws {GatedError} Nobody may be asked, or there is nobody to ask. */
async function howToPull(reference: string, name: string | undefined): Promise<PullModelOptions> {
  if (!reference.startsWith('ipfs://')) return { sources: [hubSource(hubEndpoint())] }
  const isTaken = models.value?.some((model) => name !== undefined && model.names.includes(name))
  return {
    sources: await sourcesThere(),
    // A name that is given to another model stays with that one.
    ...(name !== undefined && !isTaken && { name }),
  }
}

/** @throws {GatedError} It is switched off. */
function hubEndpoint(): string {
  if (worksOffline.value) throw switchedOff()
  if (!hub.value.isAsked) {
    throw new GatedError('No hub is asked for models by name: switch it on under Network', { feature: 'hub' })
  }
  return hub.value.endpoint
}

/** @throws {GatedError} Nobody may be asked, or there is nobody to ask. */
async function sourcesThere(): Promise<WebSource[]> {
  if (worksOffline.value) throw switchedOff()
  const own = await serverOnceAsked()
  const here: GatewayPlace[] = own.kind === 'there' ? [{ url: serverBase().href, headers: serverHeaders() }] : []
  const sources = [...here, ...gateways.value].map((place) => gatewaySource(place))
  if (peers.value.length > 0) sources.push(peerSource(peers.value))
  if (sources.length === 0) {
    const why = 'reason' in own ? `This page’s server gives no models: ${own.reason}` : 'There is no source yet'
    throw new GatedError(`${why}; or add a gateway or a peer under Network`, { feature: 'gateway' })
  }
  return sources
}

const switchedOff = (): GatedError =>
  new GatedError('You are working offline, so nothing is fetched: the switch is under Network', { feature: 'network' })

/** Aborts when the network is switched off, in this tab or another. */
function untilOffline(): { signal: AbortSignal; forget: () => void } {
  const over = new AbortController()
  const forget = effect(() => {
    if (worksOffline.value) over.abort(switchedOff())
  })
  return { signal: over.signal, forget }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** For a person. `undefined`: nothing is wrong with a source. */
function problemOf(event: DownloadEvent): SourceProblem | undefined {
  if (event.type === 'source-refused') return { source: event.source, text: messageOf(event.error) }
  if (event.type !== 'source-dropped') return undefined
  const { source, isLiar, error } = event
  const text = isLiar ? 'gave other bytes than those of the CID' : messageOf(error)
  return { source, text: `${text}; it is not asked again` }
}

const shown = ({ total, files, sources }: DownloadProgress): AdditionProgress => ({
  problems: [],
  phase: 'Fetching and verifying',
  loaded: total.loaded,
  total: total.size,
  bytesPerSecond: total.bytesPerSecond,
  leftMs: total.secondsLeft === undefined ? undefined : total.secondsLeft * 1000,
  files: files.map(({ path, loaded, size }) => ({ path, loaded, size })),
  sources: sources.map(({ name, loaded, bytesPerSecond, state }) => ({
    name,
    bytes: loaded,
    bytesPerSecond,
    note: NOTES[state],
  })),
})

const NOTES: Readonly<Record<string, string>> = { waiting: 'failed, and is asked again', out: 'left out' }
