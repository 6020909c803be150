import { effect } from '@preact/signals'
import { CID, InvalidInputError } from '@x/cid'
import { parseReference } from '@x/model-loader'
import { GatedError, NotFoundError } from '@x/storage-core'
import type { DownloadProgress } from '@x/transfer'
import { gatewaySource, pullModel } from '@x/web'

import { startAddition, type AdditionProgress } from './additions.ts'
import { models, modelsChanged } from './models.ts'
import { worksOffline } from './offline.ts'
import type { ServedModel } from './read-served.ts'
import { server } from './server.ts'
import { gateways } from './sources.ts'
import { storeOnceOpen } from './storage.ts'

/**
 * What the user wrote, as the CID of a model: a CID, `ipfs://<cid>`, or the name of a model that this page's server serves.
 *
 * @throws {InvalidInputError} It is none of these.
 * @throws {NotFoundError} Nobody here knows a model of that name.
 */
export function cidOf(text: string): { cid: CID; name: string | undefined } {
  const reference = parseReference(text.trim())
  if (reference.kind === 'cid') {
    const cid = reference.cid
    return { cid, name: served().find((model) => CID.parse(model.cid).equals(cid))?.name }
  }
  if (reference.kind !== 'name') {
    throw new InvalidInputError('a CID, ipfs://<CID> or the name of a model on this server is wanted', { input: text })
  }
  const model = served().find(({ name }) => name === reference.name)
  if (!model) {
    throw new NotFoundError(reference.name, {
      message: `no model called ${reference.name} is known here; give its CID instead`,
    })
  }
  return { cid: CID.parse(model.cid), name: model.name }
}

const served = (): readonly ServedModel[] => (server.value.kind === 'there' ? server.value.models : [])

/** Fetches a model by its CID from all sources that there are; each byte is checked before it is kept. */
export function addByReference(cid: CID, name: string | undefined): void {
  startAddition(
    name ?? cid.toString(),
    async ({ signal, report }) => {
      const isTaken = models.value?.some((model) => name !== undefined && model.names.includes(name))
      const sources = sourceUrls().map((url) => gatewaySource(url))
      const network = untilOffline()
      await pullModel(await storeOnceOpen(), `ipfs://${cid}`, {
        sources,
        signal: AbortSignal.any([signal, network.signal]),
        // A name that is given to another model stays with that one.
        ...(name !== undefined && !isTaken && { name }),
        onProgress: (progress) => report(shown(progress)),
      }).finally(network.forget)
      return cid.toString()
    },
    modelsChanged,
  )
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
