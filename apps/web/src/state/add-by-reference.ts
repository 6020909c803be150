import { effect } from '@preact/signals'
import { CID, InvalidInputError } from '@x/cid'
import { hubReference, parseReference } from '@x/model-loader'
import { GatedError, NotFoundError } from '@x/storage-core'
import type { DownloadProgress } from '@x/transfer'
import { gatewaySource, hubSource, pullModel, type PullModelOptions } from '@x/web'

import { startAddition, type AdditionProgress } from './additions.ts'
import { hub } from './hub.ts'
import { models, modelsChanged } from './models.ts'
import { worksOffline } from './offline.ts'
import type { ServedModel } from './read-served.ts'
import { server } from './server.ts'
import { gateways } from './sources.ts'
import { storeOnceOpen } from './storage.ts'

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
  startPull(name ?? cid.toString(), `ipfs://${cid}`, () => {
    const isTaken = models.value?.some((model) => name !== undefined && model.names.includes(name))
    return {
      sources: sourceUrls().map((url) => gatewaySource(url)),
      // A name that is given to another model stays with that one.
      ...(name !== undefined && !isTaken && { name }),
    }
  })
}

/** Fetches what a hub calls so; each file is checked by what the hub lists of it, and has its CID from then on. */
function addFromHub(reference: string): void {
  startPull(reference, reference, () => ({ sources: [hubSource(hubEndpoint())] }))
}

/** @param how - Asked each time that it begins. */
function startPull(title: string, reference: string, how: () => PullModelOptions): void {
  startAddition(
    title,
    async ({ signal, report }) => {
      const options = how()
      const network = untilOffline()
      const { cid } = await pullModel(await storeOnceOpen(), reference, {
        ...options,
        signal: AbortSignal.any([signal, network.signal]),
        onProgress: (progress) => report(shown(progress)),
      }).finally(network.forget)
      return cid.toString()
    },
    modelsChanged,
  )
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
function sourceUrls(): string[] {
  if (worksOffline.value) throw switchedOff()
  const urls = [...(server.value.kind === 'there' ? [`${location.origin}/`] : []), ...gateways.value]
  if (urls.length === 0) {
    throw new GatedError('There is no source yet: add a gateway under Network', { feature: 'gateway' })
  }
  return urls
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

const shown = ({ total, files, sources }: DownloadProgress): AdditionProgress => ({
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
