import { readDirectory, readFile } from '@x/cid'
import { openSession } from '@x/storage-core'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { closedUrl, firstFew, type Fault, type SeenRequest } from '../../../tooling/faults/faulty-proxy.ts'
import { passTime } from '../../../tooling/faults/pass-time.ts'
import { directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { openKuboOrigin } from './kubo-origin.ts'
import { sharedKubo } from './shared-kubo.ts'
import {
  addModel,
  exceptProbe,
  measureNoSpeed,
  MIB,
  openTestSource,
  proxyTo,
  pullIntoNew,
  typesOf,
  useOwnTime,
  waitsForIt,
} from './support.ts'

const useKubo = sharedKubo({ online: false })

const isCar = ({ url }: SeenRequest): boolean => url.includes('format=car')

describe('one gateway that always fails', () => {
  const faults: [name: string, fault: Fault, error: object][] = [
    ['never answers', { type: 'hang' }, { code: 'BACKEND', retryable: true }],
    ['drops connections', { type: 'drop' }, { code: 'BACKEND', retryable: true }],
    ['resets at 1000 bytes', { type: 'reset', atByte: 1000 }, { code: 'BACKEND', retryable: true }],
    ['stops at 1000 bytes', { type: 'stall', atByte: 1000 }, { code: 'BACKEND', retryable: true }],
    ['cuts answers', { type: 'truncate', framing: 'cut', atByte: 1000 }, { code: 'BACKEND', retryable: true }],
    // Nothing tells a short block from a wrong one.
    ['shortens answers', { type: 'truncate', framing: 'valid', atByte: 1000 }, { code: 'INTEGRITY' }],
    ['sends a few bytes at a time', { type: 'slow', bytesPerSecond: 200 }, { code: 'BACKEND', retryable: true }],
    ['answers 500', { type: 'status', status: 500 }, { code: 'BACKEND', retryable: true }],
    ['answers 502', { type: 'status', status: 502, body: 'bad gateway' }, { code: 'BACKEND', retryable: true }],
    ['answers 403', { type: 'status', status: 403 }, { code: 'BACKEND', retryable: false }],
    [
      'has a landing page',
      { type: 'status', status: 200, headers: { 'content-type': 'text/html' } },
      { code: 'BACKEND' },
    ],
    ['flips a byte', { type: 'flip', atByte: 500 }, { code: 'INTEGRITY' }],
  ]

  it.each(faults)('%s', async (_name, fault, error) => {
    const { root } = await addModel(useKubo(), 1)
    const options = waitsForIt(fault) ? { stallTimeoutMs: 100 } : {}
    const { source } = await openTestSource([(await proxyTo(useKubo(), fault)).url], options)
    await expect(pullIntoNew(source, root)).rejects.toMatchObject(error)
  })

  it.each([404, 410])('says %i to all but the probe: it is absent', async (status) => {
    const { root } = await addModel(useKubo(), 1)
    const { source } = await openTestSource([(await proxyTo(useKubo(), exceptProbe({ type: 'status', status }))).url])
    await expect(pullIntoNew(source, root)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: root })
    expect(await source.blocks.has(root)).toBe(false)
  })

  it('listens no more', async () => {
    const { root } = await addModel(useKubo(), 1)
    const { source, events } = await openTestSource([await closedUrl()])
    await expect(pullIntoNew(source, root)).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: true,
      message: expect.stringContaining('ECONNREFUSED'),
    })
    expect(typesOf(events).filter((type) => type === 'gateway-failed').length).toBe(3)
  })
})

describe('one gateway that fails once', () => {
  const half = 4 * MIB
  const faults: [name: string, fault: Fault][] = [
    ['resets', { type: 'reset', atByte: half }],
    ['stops', { type: 'stall', atByte: half }],
    ['cuts its answer', { type: 'truncate', framing: 'cut', atByte: half }],
    ['ends its answer early', { type: 'truncate', framing: 'valid', atByte: half }],
  ]

  it.each(faults)('%s in the middle: the rest comes, and nothing twice', async (_name, fault) => {
    const { root, size } = await addModel(useKubo(), 1)
    const proxy = await proxyTo(useKubo(), firstFew(1, fault, isCar))
    const { into, fetched } = await passTime([proxy], async () => {
      const { source } = await openTestSource([proxy.url])
      return pullIntoNew(source, root)
    })
    expect(proxy.hits).toBe(1)
    expect(await into.verify(root)).toBeGreaterThan(size)
    // A leaf was cut, and a few nodes came again.
    expect(fetched).toBeLessThan(size + MIB)
    // A reset loses what was on its way.
    expect(proxy.bytesSent).toBeLessThan(size + half + MIB)
    const again = proxy.requests.filter(isCar).slice(1)
    if (fault.type === 'reset') return
    expect(again.map(({ url }) => /entity-bytes=(\d+)/.exec(url)?.[1])).toEqual([expect.stringMatching(/^[1-9]/)])
  })

  it('goes on with streams where the file is there twice', async () => {
    const origin = await openKuboOrigin(useKubo())
    const big = sampleBytes(81, 8 * MIB)
    const model = directoryOf({ 'a.bin': big, 'again.bin': big })
    const { cid } = await origin.add(model)
    const fault: Fault = { type: 'truncate', framing: 'cut', atByte: half }
    const proxy = await proxyTo(useKubo(), firstFew(1, fault, isCar))
    const { source } = await openTestSource([proxy.url])
    const session = openSession(source.blocks, cid)
    let bytes = 0
    for await (const entry of readDirectory(session.get, cid)) {
      for await (const piece of readFile(session.get, entry.cid)) bytes += piece.length
    }
    await session.close()
    expect(bytes).toBe(16 * MIB)
    expect(proxy.hits).toBe(1)
    expect(proxy.requests.filter((seen) => !isCar(seen))).toEqual([])
    expect(proxy.requests.length).toBeLessThanOrEqual(3)
  })

  it('is killed in the middle and started again', async () => {
    const kubo = useKubo()
    const { root, size } = await addModel(kubo, 1)
    let restarted: Promise<void> | undefined
    const proxy = await proxyTo(kubo, { type: 'slow', bytesPerSecond: 40 * MIB })
    const { source, events } = await openTestSource([proxy.url], {
      // It may take long to start, and to answer first.
      tries: 100_000,
      backoffMs: 50,
      maxWaitMs: 100,
      stallTimeoutMs: 600_000,
    })
    const pieces = source.cat(root, { path: 'weights.onnx' })[Symbol.asyncIterator]()
    let bytes = 0
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
      bytes += next.value.length
      restarted ??= kubo.kill().then(() => kubo.restart())
    }
    await restarted
    expect(bytes).toBe(8 * MIB)
    expect(typesOf(events)).toContain('gateway-failed')
    expect((await pullIntoNew(source, root)).fetched).toBeGreaterThan(size)
  })
})

describe('a gateway that asks for patience', () => {
  it('is asked again when it says so', async () => {
    const { root } = await addModel(useKubo(), 1)
    const fault: Fault = { type: 'status', status: 429, headers: { 'retry-after': '1' } }
    useOwnTime()
    const { source, events } = await openTestSource([(await proxyTo(useKubo(), firstFew(1, fault))).url])
    await source.stat(root)
    const [wait] = events.flatMap((event) => (event.type === 'retry-waited' ? event : []))
    expect(wait?.waitMs).toBeGreaterThan(100)
    expect(wait?.waitMs).toBeLessThanOrEqual(1000)
  })

  it('is not waited for when it asks for too much', async () => {
    const { root } = await addModel(useKubo(), 1)
    const fault: Fault = { type: 'status', status: 503, headers: { 'retry-after': '3600' } }
    const proxy = await proxyTo(useKubo(), fault)
    const { source } = await openTestSource([proxy.url])
    await expect(source.stat(root)).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: true,
      message: expect.stringContaining('3600 s'),
    })
    expect(proxy.requests.length).toBe(1)
    // Nor is it asked by the next one who wants something.
    await expect(source.stat(root)).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
    expect(proxy.requests.length).toBe(1)
  })
})

describe('two gateways', () => {
  it('one lies in the middle: it is left out, and the file is whole', async () => {
    const { root, size } = await addModel(useKubo(), 1)
    const liar = await proxyTo(useKubo(), (seen) =>
      isCar(seen) ? { type: 'flip', atByte: 4 * MIB } : { type: 'none' },
    )
    const honest = await proxyTo(useKubo())
    measureNoSpeed()
    const { source, events } = await openTestSource([liar.url, honest.url])
    const { into, fetched } = await pullIntoNew(source, root)
    expect(await into.verify(root)).toBeGreaterThan(size)
    expect(fetched).toBeLessThan(size + MIB)
    expect(events.filter(({ type }) => type === 'gateway-lied')).toMatchObject([{ gateway: liar.url }])
    expect(liar.requests.filter(isCar).length).toBe(1)
    // What the liar gave before is not fetched again.
    expect(honest.bytesSent).toBeLessThan(size - 2 * MIB)
  })

  it('one lied: it is not asked again when the other fails', async () => {
    const { root } = await addModel(useKubo(), 1)
    const liar = await proxyTo(useKubo(), { type: 'flip', atByte: 2 * MIB })
    const honest = await proxyTo(useKubo(), firstFew(2, { type: 'truncate', framing: 'cut', atByte: 4 * MIB }, isCar))
    measureNoSpeed()
    const { source, events } = await openTestSource([liar.url, honest.url])
    await pullIntoNew(source, root)
    expect(honest.hits).toBeGreaterThan(0)
    expect(events.filter(({ type }) => type === 'gateway-lied')).toMatchObject([{ gateway: liar.url }])
    expect(liar.requests.filter(isCar).length).toBe(1)
  })

  it('one lies about a single block: the other one gives it', async () => {
    const { root } = await addModel(useKubo(), 1)
    const liar = await proxyTo(useKubo(), { type: 'flip', atByte: 10 })
    const honest = await proxyTo(useKubo())
    const { source, events } = await openTestSource([liar.url, honest.url])
    expect((await source.blocks.get(root)).length).toBeGreaterThan(10)
    expect(typesOf(events)).toEqual(['gateway-lied'])
    const { source: alone } = await openTestSource([liar.url])
    await expect(alone.blocks.get(root)).rejects.toMatchObject({ code: 'INTEGRITY', cid: root })
  })

  it('one dies in the middle: the other goes on from there', async () => {
    const { root, size } = await addModel(useKubo(), 1)
    const dying = await proxyTo(useKubo(), { type: 'reset', atByte: 4 * MIB })
    const other = await proxyTo(useKubo())
    measureNoSpeed()
    const { source } = await openTestSource([dying.url, other.url])
    const { into } = await pullIntoNew(source, root)
    expect(await into.verify(root)).toBeGreaterThan(size)
    // A reset loses what was on its way.
    expect(dying.bytesSent + other.bytesSent).toBeLessThan(size + 5 * MIB)
  })

  it('one hangs: the other is asked before its time is over', async () => {
    const { root } = await addModel(useKubo(), 1)
    const hanging = await proxyTo(useKubo(), { type: 'hang' })
    const other = await proxyTo(useKubo())
    const { source, events } = await openTestSource([hanging.url, other.url], { hedgeAfterMs: 50 })
    await pullIntoNew(source, root)
    expect(typesOf(events)).toContain('hedge-started')
    expect(typesOf(events)).not.toContain('gateway-failed')
  })

  it('one stops in the middle: the other goes on, before its time is over', async () => {
    const { root, size } = await addModel(useKubo(), 1)
    const stopping = await proxyTo(useKubo(), { type: 'stall', atByte: 4 * MIB })
    const other = await proxyTo(useKubo())
    const { into, events } = await passTime([stopping, other], async () => {
      const { source, events: heard } = await openTestSource([stopping.url, other.url], { hedgeAfterMs: 10_000 })
      return { ...(await pullIntoNew(source, root)), events: heard }
    })
    expect(await into.verify(root)).toBeGreaterThan(size)
    expect(typesOf(events)).not.toContain('gateway-failed')
    expect(other.bytesSent).toBeLessThan(size - 2 * MIB)
  })

  it('one is slow: the other is tried, and read on from', async () => {
    const { root, size } = await addModel(useKubo(), 1)
    const slow = await proxyTo(useKubo(), { type: 'slow', bytesPerSecond: 4 * MIB })
    const other = await proxyTo(useKubo())
    useOwnTime()
    // By that time it sends 100 kB/s, on whatever machine.
    let sent = 0
    const clock = setInterval(() => {
      if (other.requests.length === 0) vi.advanceTimersByTime((slow.bytesSent - sent) / 100)
      sent = slow.bytesSent
    }, 5)
    onTestFinished(() => clearInterval(clock))
    // Over the time for which it is measured.
    const { source, events } = await openTestSource([slow.url, other.url], { hedgeAfterMs: 10_000 })
    const { into } = await pullIntoNew(source, root)
    expect(await into.verify(root)).toBeGreaterThan(size)
    expect(typesOf(events)).not.toContain('gateway-failed')
    const races = events.filter(({ type }) => type === 'race-started')
    expect(races).toMatchObject([{ gateway: other.url, slow: slow.url }])
    // It was measured: the next one who reads begins with the faster.
    const before = slow.requests.length
    await source.verify(root)
    expect(slow.requests.length).toBe(before)
  })

  it('one is absent and one cannot be asked: it cannot be told', async () => {
    const absent = await proxyTo(useKubo(), exceptProbe({ type: 'status', status: 404 }))
    const { root } = await addModel(useKubo(), 1)
    const { source } = await openTestSource([absent.url, await closedUrl()])
    await expect(source.blocks.has(root)).rejects.toMatchObject({ code: 'BACKEND' })
    await expect(pullIntoNew(source, root)).rejects.toMatchObject({ code: 'BACKEND' })
  })

  it('both say that it is absent', async () => {
    const { root } = await addModel(useKubo(), 1)
    const [one, two] = [
      await proxyTo(useKubo(), exceptProbe({ type: 'status', status: 404 })),
      await proxyTo(useKubo(), exceptProbe({ type: 'status', status: 410 })),
    ]
    const { source } = await openTestSource([one.url, two.url])
    expect(await source.blocks.has(root)).toBe(false)
    await expect(pullIntoNew(source, root)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: root })
  })

  it('one lies and the other lacks it: the lie is said', async () => {
    const { root } = await addModel(useKubo(), 1)
    const liar = await proxyTo(useKubo(), { type: 'flip', atByte: 60 })
    const absent = await proxyTo(useKubo(), exceptProbe({ type: 'status', status: 404 }))
    const { source } = await openTestSource([absent.url, liar.url])
    await expect(pullIntoNew(source, root)).rejects.toMatchObject({ code: 'INTEGRITY' })
  })

  it('tells of each of them', async () => {
    const { source } = await openTestSource([useKubo().gateway, await closedUrl()])
    const status = await source.status()
    expect(status.available).toBe(true)
    expect(Object.values(status.details)).toEqual([
      expect.stringMatching(/^available, \d+ ms/),
      expect.stringContaining('ECONNREFUSED'),
    ])
  })
})

describe('a gateway without CAR', () => {
  it.each([406, 404, 400, 501])('answers %i: single blocks are asked for, several at a time', async (status) => {
    const { root, size } = await addModel(useKubo(), 1)
    const proxy = await proxyTo(useKubo(), (seen) => (isCar(seen) ? { type: 'status', status } : { type: 'none' }))
    const { source, events } = await openTestSource([proxy.url])
    const { into, fetched } = await pullIntoNew(source, root)
    expect(await into.verify(root)).toBeGreaterThan(size)
    expect(fetched).toBeLessThan(size + 2000)
    expect(proxy.requests.filter(isCar).length).toBeLessThanOrEqual(3)
    expect(typesOf(events)).toContain('stream-refused')
  })
})
