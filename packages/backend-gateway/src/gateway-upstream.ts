import { IntegrityError, readCar, type Block, type Car, type CID } from '@x/cid'
import { BackendError, isStorageError, type AbortOptions } from '@x/storage-core'
import { codeOf, createSlots, discard, type Want } from '@x/storage-core/backend'

import type { GatewayEvent } from './events.ts'
import { causeOf, HttpStatusError, isRetryable, StreamRefusedError } from './failure.ts'
import { assertNotAPage, getBlock, request, type Connection } from './get-block.ts'
import { probeInTime } from './probe-in-time.ts'
import { createPulse, readBody, readShortBody } from './read-body.ts'
import type { AskOptions, BlockStream, Upstream } from './upstream.ts'

export interface GatewayUpstreamOptions extends Connection {
  /** Blocks that are asked for one by one, at a time. */
  maxRequests: number
  /** CAR streams at a time; over it, blocks are asked for one by one. */
  maxStreams: number
  /** Whether `has` is about what the gateway holds itself. */
  onlyIfCached: boolean
  onEvent: (event: GatewayEvent) => void
}

const RAW_TYPE = 'application/vnd.ipld.raw'
const CAR_TYPE = 'application/vnd.ipld.car'

// Statuses by which a gateway says that it has no CAR. 404 may mean that, or that the block is absent.
const NO_CAR = new Set([400, 404, 405, 406, 410, 415, 501])
const MOST_USELESS_STREAMS = 3
// It may learn it, or have been out of order.
const WITHOUT_STREAMS_MS = 600_000

/** The probe of the specification: the identity CID of nothing. */
const EMPTY = 'bafkqaaa'

/** @see https://specs.ipfs.tech/http-gateways/trustless-gateway/ */
export function createGatewayUpstream(options: GatewayUpstreamOptions): Upstream {
  const { endpoint, health, send, stallTimeoutMs, maxRequests, maxStreams, onlyIfCached, onEvent } = options
  const { label } = endpoint
  const requests = createSlots(maxRequests)
  let isGateway = false
  let openStreams = 0
  /** In a row. */
  let uselessStreams = 0
  let refusedUntil = 0

  const rawHeaders = { accept: RAW_TYPE }

  async function assertGateway({ signal }: AbortOptions): Promise<void> {
    const waiting = { signal, stallTimeoutMs }
    const response = await send(endpoint, `ipfs/${EMPTY}?format=raw`, { headers: rawHeaders, ...waiting })
    const { status } = response
    const bytes = await readShortBody(response, 0, { label, pulse: createPulse(), ...waiting })
    if (status === 200 && bytes !== undefined) {
      isGateway = true
      return
    }
    const isOther = status === 200 || status === 404 || status === 410
    const got = status === 200 ? 'something else' : `HTTP status ${status}`
    const message = `${label}: ${isOther ? 'it is no trustless gateway: ' : ''}${got} for the empty block ${EMPTY}`
    throw new BackendError(message, { retryable: isRetryable(status) })
  }

  /** Asks once: most web servers say 404 to every CID, and so nothing of what is absent. */
  async function confirmAbsence(asked: AbortOptions): Promise<void> {
    if (!isGateway) await assertGateway(asked)
  }

  async function block(cid: CID, asked: AskOptions): Promise<Uint8Array> {
    try {
      const bytes = await getBlock(options, rawPath(cid), cid, { ...asked, headers: rawHeaders })
      isGateway = true
      return bytes
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') await confirmAbsence(asked)
      throw error
    }
  }

  async function has(cid: CID, asked: AskOptions): Promise<boolean> {
    const { signal } = asked
    const headers = { ...rawHeaders, ...(onlyIfCached && { 'cache-control': 'only-if-cached' }) }
    // 412: not held here, and only that was asked. 405 and 501: no HEAD.
    const expected = [200, 404, 410, 412]
    const ask = (method: 'HEAD' | 'GET', others: readonly number[]): Promise<Response> =>
      request(options, rawPath(cid), cid, { method, headers, signal, expected: [...expected, ...others] })
    let response = await ask('HEAD', [405, 501])
    discard(response)
    if (response.status === 405 || response.status === 501) response = await ask('GET', [])
    discard(response)
    if (response.status === 200) {
      assertNotAPage(options, response)
      return true
    }
    if (response.status !== 412) await confirmAbsence(asked)
    return false
  }

  async function openCar(want: Want, { signal, pulse }: AskOptions): Promise<{ car: Car; repeats: boolean }> {
    const cid = want.file?.cid ?? want.cid
    const headers = { accept: `${CAR_TYPE};version=1;order=dfs;dups=y` }
    const response = await request(options, carPath(want), cid, { headers, signal, expected: [200] }).catch(
      (error: unknown) => {
        const cause = causeOf(error)
        if (!(cause instanceof HttpStatusError) || !NO_CAR.has(cause.status)) throw error
        throw new StreamRefusedError(`HTTP status ${cause.status} for a CAR`)
      },
    )
    const type = parseCarType(response.headers.get('content-type'))
    if (!type || type.order !== 'dfs') {
      discard(response)
      throw new StreamRefusedError(type ? `a CAR in the order ${type.order}` : 'something that is no CAR')
    }
    const body = readBody(response, { label, pulse, signal, stallTimeoutMs, health })
    return { car: await readCar(body, { signal }).catch(toCarFailure(label)), repeats: type.repeats }
  }

  async function stream(want: Want, asked: AskOptions): Promise<BlockStream> {
    openStreams += 1
    let isOpen = true
    const leave = (): void => {
      if (isOpen) openStreams -= 1
      isOpen = false
    }
    try {
      const { car, repeats } = await openCar(want, asked)
      return {
        repeats,
        async next() {
          const { value, done } = await car.blocks.next().catch(toCarFailure(label))
          if (done === true) {
            leave()
            return undefined
          }
          const next: Block = value
          asked.pulse.blocks += 1
          return next
        },
        close() {
          leave()
          // It is left: how it ends is nobody's concern, and a failure in the middle was thrown by `next`.
          car.blocks.return(undefined).catch(() => undefined)
        },
      }
    } catch (error) {
      leave()
      throw error
    }
  }

  return {
    label,
    health,
    get streams() {
      if (openStreams >= maxStreams) return false
      return uselessStreams < MOST_USELESS_STREAMS || performance.now() > refusedUntil
    },
    block: (cid, asked) => requests.run(() => block(cid, asked), asked.signal),
    has: (cid, asked) => requests.run(() => has(cid, asked), asked.signal),
    stream,
    noteStream(outcome) {
      uselessStreams = outcome === 'useful' ? 0 : uselessStreams + 1
      if (outcome === 'useful' || uselessStreams < MOST_USELESS_STREAMS) return
      refusedUntil = performance.now() + WITHOUT_STREAMS_MS
      onEvent({ type: 'stream-refused', gateway: label, reason: outcome.useless })
    },
    probe: (asked) => probeInTime(options, assertGateway, asked),
  }
}

const rawPath = (cid: CID): string => `ipfs/${cid}?format=raw`

/** The smallest DAG with all that is wanted from a place on. */
function carPath({ cid, file, from, to, scope }: Want): string {
  const query = new URLSearchParams({ format: 'car', 'car-version': '1', 'car-order': 'dfs', 'car-dups': 'y' })
  const start = (file?.start ?? 0) + Math.max(0, from)
  const end = file?.end ?? to
  if (start > 0 || end !== Infinity) {
    query.set('dag-scope', 'entity')
    query.set('entity-bytes', `${start}:${end === Infinity ? '*' : end - 1}`)
  } else {
    query.set('dag-scope', scope)
  }
  return `ipfs/${file?.cid ?? cid}?${query.toString().replaceAll('%3A', ':').replaceAll('%2A', '*')}`
}

/** `undefined` for anything but a CAR. What it does not say is as the specification has it. */
function parseCarType(header: string | null): { order: string; repeats: boolean } | undefined {
  const [type, ...parameters] = (header ?? '')
    .toLowerCase()
    .split(';')
    .map((part) => part.trim())
  if (type !== CAR_TYPE) return undefined
  const named = new Map(
    parameters.map((parameter) => {
      const [name = '', value = ''] = parameter.split('=')
      return [name.trim(), value.trim().replaceAll('"', '')]
    }),
  )
  // Gateways that do not say in which order blocks come have always sent them depth-first; if not, it shows.
  return { order: named.get('order') ?? 'dfs', repeats: named.get('dups') === 'y' }
}

/** A bad block is a lie, anything else about the CAR a broken answer. */
function toCarFailure(label: string): (error: unknown) => never {
  return (error) => {
    if (!isStorageError(error) || error instanceof IntegrityError || error instanceof BackendError) throw error
    throw new BackendError(`${label}: ${error.message}`, { cause: error, retryable: true })
  }
}
