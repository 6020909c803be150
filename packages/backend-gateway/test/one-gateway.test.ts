import { cidOf, RAW, type CID } from '@x/cid'
import type { ContentSource } from '@x/storage-core'
import { describe, expect, it, vi } from 'vitest'

import { firstFew, type Fault } from '../../../tooling/faults/faulty-proxy.ts'
import { concat, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import type { GatewayEvent } from '../src/events.ts'
import { startOddGateway } from './odd-gateway.ts'
import { sharedKubo } from './shared-kubo.ts'
import { addModel, openTestSource, PATIENT, proxyTo, pullIntoNew, typesOf, useOwnTime } from './support.ts'

// Nobody is there whom it could ask, so that it looks for what it does not hold until it has waited for long enough.
const useKubo = sharedKubo({ online: true, config: { Gateway: { RetrievalTimeout: '600ms' } } })

const absent = (seed: number): Promise<CID> => cidOf(RAW, sampleBytes(seed, 100))

const lastOnes = (events: readonly GatewayEvent[]): boolean[] =>
  events.flatMap((event) => ('isLast' in event ? event.isLast : []))

describe('a gateway that is the only one', () => {
  it.each<[call: string, ask: (source: ContentSource, cid: CID) => Promise<unknown>]>([
    ['blocks.get', ({ blocks }, cid) => blocks.get(cid)],
    ['blocks.has', ({ blocks }, cid) => blocks.has(cid)],
    ['cat', (source, cid) => concat(source.cat(cid))],
  ])('never answers: it is asked once more by %s', async (_call, ask) => {
    const proxy = await proxyTo(useKubo(), { type: 'hang' })
    useOwnTime()
    const { source, events } = await openTestSource([proxy.url], { stallTimeoutMs: 300, tries: 5 })
    const error = { code: 'BACKEND', retryable: true, message: `${proxy.url}: no answer for 300 ms` }
    await expect(ask(source, await absent(1))).rejects.toMatchObject(error)
    expect(proxy.requests.length).toBe(2)
    expect(typesOf(events)).toEqual(['gateway-failed', 'retry-waited', 'gateway-failed'])
    expect(lastOnes(events)).toEqual([false, true])
  })

  it('has lost one request: the next one is answered', async () => {
    const { root } = await addModel(useKubo(), 1)
    const lost = firstFew(1, { type: 'hang' })
    const proxy = await proxyTo(useKubo(), (seen) => {
      if (seen.index === 0) vi.advanceTimersByTime(PATIENT.stallTimeoutMs)
      return lost(seen)
    })
    useOwnTime()
    const { source, events } = await openTestSource([proxy.url])
    await pullIntoNew(source, root)
    expect(typesOf(events).slice(0, 3)).toEqual(['gateway-failed', 'retry-waited', 'stream-started'])
  })

  it.each([
    ['for longer than anybody waits', 400, 300, ': no answer for 400 ms'],
    ['and gives up on it', 2000, 1000, '; asked again, no answer for 500 ms'],
  ])('looks for a block elsewhere %s: it is asked once more', async (_how, stallTimeoutMs, passedMs, message) => {
    // Here time goes faster than there.
    const proxy = await proxyTo(useKubo(), () => {
      vi.advanceTimersByTime(passedMs)
      return { type: 'none' }
    })
    useOwnTime()
    const { source, events } = await openTestSource([proxy.url], { stallTimeoutMs, tries: 5 })
    const error = { code: 'BACKEND', retryable: true, message: expect.stringContaining(message) }
    await expect(source.blocks.get(await absent(stallTimeoutMs))).rejects.toMatchObject(error)
    expect(proxy.requests.length).toBe(2)
    expect(lastOnes(events)).toEqual([false, true])
  })
})

describe('what is heard of a failure', () => {
  it.each<[string, Fault]>([
    ['an error', { type: 'status', status: 500 }],
    ['a lie', { type: 'flip', atByte: 0 }],
  ])('%s: names the gateway, and is the last where it is what the caller hears', async (_name, fault) => {
    const { root } = await addModel(useKubo(), 1)
    const [one, other] = [await proxyTo(useKubo(), fault), await proxyTo(useKubo(), fault)]
    const { source, events } = await openTestSource([one.url, other.url], { tries: 1 })
    const error: unknown = await source.blocks.get(root).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ message: expect.stringContaining(one.url) })
    const heard = events.flatMap((event) => ('error' in event ? event : []))
    expect(heard.map(({ gateway }) => gateway)).toEqual([one.url, other.url])
    for (const { gateway, error: said } of heard) expect(said.message.startsWith(`${gateway}: `)).toBe(true)
    expect(lastOnes(events)).toEqual([false, true])
  })

  it('an absent block: names the gateway', async () => {
    const gateway = await startOddGateway()
    const { source, events } = await openTestSource([gateway.url])
    const cid = await absent(1)
    await expect(source.blocks.get(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    const error = { code: 'NOT_FOUND', cid, message: `${gateway.url}: block not found: ${cid}` }
    expect(events).toMatchObject([{ type: 'gateway-failed', isLast: true, error }])
  })
})
