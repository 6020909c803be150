import { getEventListeners, once } from 'node:events'

import { cidOf, DAG_PB, readDirectory, readFile, type CID } from '@x/cid'
import { openSession, pull, type AbortOptions, type ContentSource } from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { concat, directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { endlessNothing, endlessStrangers, nothingEvery, startOddGateway } from './odd-gateway.ts'
import { MIB, openTestSource, pullIntoNew, typesOf, useOwnTime } from './support.ts'

const big = sampleBytes(31, 8 * MIB)

describe('a stream', () => {
  it('that gives each block once: what is linked again comes from memory, or by another request', async () => {
    const gateway = await startOddGateway()
    const zeros = new Uint8Array(6 * MIB)
    const { cid, size } = await gateway.store.add(
      directoryOf({
        'a.bin': big,
        'again.bin': big,
        'last.bin': sampleBytes(32, 2 * MIB),
        'zeros.bin': zeros,
        'zeros2.bin': zeros,
      }),
    )
    const { source } = await openTestSource([gateway.url])
    expect(await source.verify(cid)).toBeGreaterThan(11 * MIB)
    expect(gateway.requests.length).toBe(1)
    for (const [path, bytes] of [
      ['a.bin', big],
      ['again.bin', big],
      ['zeros2.bin', zeros],
    ] as const) {
      expect(Buffer.compare(await concat(source.cat(cid, { path })), bytes)).toBe(0)
    }
    // In the order of the links and each time anew, as a store with paths reads it.
    gateway.requests.length = 0
    gateway.bytesSent = 0
    const session = openSession(source.blocks, cid)
    let read = 0
    for await (const entry of readDirectory(session.get, cid)) {
      for await (const piece of readFile(session.get, entry.cid)) read += piece.length
    }
    await session.close()
    expect(read).toBe(size)
    expect(gateway.bytesSent).toBeLessThan(2 * size)
    expect(gateway.requests.length).toBeLessThan(30)
  })

  it('that gives each block wherever it is linked goes on when its reader passes over those it has read', async () => {
    const gateway = await startOddGateway({ duplicates: true, carParameters: 'version=1; order=dfs; dups=y' })
    const files = Array.from({ length: 20 }, (_, at) => [`${at + 10}`, sampleBytes(at % 2 && at, 100)] as const)
    const { cid } = await gateway.store.add(directoryOf(Object.fromEntries(files)))
    const { source } = await openTestSource([gateway.url])
    const { into } = await pullIntoNew(source, cid)
    expect(await into.verify(cid)).toBeGreaterThan(2000)
    expect(gateway.requests.length).toBe(1)
  })

  it('that does not begin where it was told to is given up after a bounded number of bytes', async () => {
    const gateway = await startOddGateway()
    const { cid } = await gateway.store.add(sampleBytes(33, 32 * MIB))
    const { source } = await openTestSource([gateway.url])
    const part = await concat(source.cat(cid, { offset: 24 * MIB, length: 2 * MIB }))
    expect(Buffer.compare(part, sampleBytes(33, 32 * MIB).subarray(24 * MIB, 26 * MIB))).toBe(0)
    expect(gateway.requests.filter(({ url }) => url.includes('format=raw')).length).toBeGreaterThan(0)
    expect(gateway.bytesSent).toBeLessThan(40 * MIB)
  })

  it.each([
    ['sound blocks that nobody asked for', endlessStrangers],
    ['blocks without bytes', endlessNothing],
  ])('of %s is given up', async (_name, strangers) => {
    const gateway = await startOddGateway({ strangers })
    const { cid } = await gateway.store.add(big)
    const { source, events } = await openTestSource([gateway.url])
    const { into } = await pullIntoNew(source, cid)
    expect(Buffer.compare(await concat(into.cat(cid)), big)).toBe(0)
    expect(typesOf(events)).toContain('stream-refused')
  })

  it('of blocks that nobody asked for is silence: another gateway is asked', async () => {
    // Over 1 KiB in each second.
    const gateway = await startOddGateway({ strangers: nothingEvery(5) })
    const other = await startOddGateway()
    const { cid } = await gateway.store.add(big)
    await other.store.add(big)
    useOwnTime()
    const { source, events } = await openTestSource([gateway.url, other.url], { hedgeAfterMs: 300 })
    await pullIntoNew(source, cid)
    expect(events[0]).toMatchObject({ type: 'hedge-started', gateway: other.url, silent: gateway.url })
    expect(typesOf(events)).not.toContain('gateway-failed')
    // It may be asked once more where the other one is too busy to say anything for so long.
    expect(gateway.requests.filter(({ url }) => !url.includes('format=car'))).toEqual([])
  })

  it('of blocks that nobody asked for is no progress', async () => {
    // Less than 1 KiB in each second.
    const gateway = await startOddGateway({ strangers: nothingEvery(60) })
    const { cid } = await gateway.store.add(big)
    useOwnTime()
    const { source } = await openTestSource([gateway.url], { stallTimeoutMs: 400, tries: 1 })
    const error = { code: 'BACKEND', retryable: true, message: expect.stringContaining('no progress') }
    await expect(pullIntoNew(source, cid)).rejects.toMatchObject(error)
  })

  it('in another order is not used', async () => {
    const [two, cars] = [Promise.withResolvers<void>(), 3]
    const gateway = await startOddGateway({
      carParameters: 'version=1; order=unk; dups=n',
      async intercept() {
        // The first one after the last CAR and its block waits for a second one.
        if (gateway.requests.length === 2 * cars + 1) await two.promise
        if (gateway.requests.length > 2 * cars + 1) two.resolve()
        return false
      },
    })
    const { cid } = await gateway.store.add(big)
    const { source, events } = await openTestSource([gateway.url])
    await pullIntoNew(source, cid)
    expect(gateway.requests.filter(({ url }) => url.includes('format=raw')).length).toBe(9)
    expect(typesOf(events)).toEqual(['stream-refused'])
    expect(gateway.mostAtOnce).toBeGreaterThan(1)
    expect(gateway.mostAtOnce).toBeLessThanOrEqual(7)
  })

  it('stops where much of it is held already', async () => {
    const gateway = await startOddGateway({ duplicates: true, carParameters: 'version=1; order=dfs; dups=y' })
    const held = sampleBytes(34, 28 * MIB)
    const { cid } = await gateway.store.add(directoryOf({ 'a.bin': held, 'b.bin': big }))
    const { source } = await openTestSource([gateway.url])
    const { into } = await pullIntoNew(source, (await gateway.store.add(held)).cid)
    gateway.bytesSent = 0
    const { fetched } = await pull(into, source, cid)
    expect(await into.has(cid)).toBe(true)
    expect(fetched).toBeLessThan(8 * MIB + 9 * MIB)
    expect(gateway.bytesSent).toBeLessThan(26 * MIB)
  })

  it('is read no further than a bounded number of bytes ahead', async () => {
    const gateway = await startOddGateway({ duplicates: true, carParameters: 'version=1; order=dfs; dups=y' })
    const { cid } = await gateway.store.add(sampleBytes(35, 40 * MIB))
    const { source } = await openTestSource([gateway.url])
    const pieces = source.cat(cid)[Symbol.asyncIterator]()
    await pieces.next()
    // Somebody else reads all of it meanwhile: time enough to read on.
    const { source: other } = await openTestSource([gateway.url])
    expect((await concat(other.cat(cid))).length).toBe(40 * MIB)
    expect(gateway.bytesSent).toBeLessThan((40 + 24) * MIB)
    await pieces.return?.()
  })

  const reason = new Error('the caller gave up')
  it.each<[how: string, read: (source: ContentSource, cid: CID) => Promise<void>]>([
    [
      'when its reader leaves',
      async (source, cid) => {
        for await (const piece of source.cat(cid)) if (piece.length > 0) break
      },
    ],
    [
      'by an abort, with its reason',
      async (source, cid) => {
        const caller = new AbortController()
        const pieces = source.cat(cid, { signal: caller.signal })[Symbol.asyncIterator]()
        await pieces.next()
        caller.abort(reason)
        await expect(concat({ [Symbol.asyncIterator]: () => pieces })).rejects.toBe(reason)
      },
    ],
  ])('is ended %s', async (_how, read) => {
    let left: Promise<unknown> | undefined
    const gateway = await startOddGateway({
      intercept: (request, response) => {
        if (request.url?.includes('format=car')) left = once(response, 'close')
        return false
      },
    })
    const { cid } = await gateway.store.add(sampleBytes(36, 32 * MIB))
    const { source } = await openTestSource([gateway.url])
    await read(source, cid)
    await left
    expect(gateway.brokenOff).toBe(1)
  })

  it('is ended when the source is closed', async () => {
    const gateway = await startOddGateway()
    const { cid } = await gateway.store.add(sampleBytes(36, 32 * MIB))
    const { source } = await openTestSource([gateway.url])
    const pieces = source.cat(cid)[Symbol.asyncIterator]()
    await pieces.next()
    await source.close()
    const rest = (async () => {
      for (let next = await pieces.next(); !next.done; next = await pieces.next()) continue
    })()
    await expect(rest).rejects.toMatchObject({ code: 'BACKEND' })
  })
})

it('reads more files at a time than there are streams, whatever the order', async () => {
  const gateway = await startOddGateway({ duplicates: true })
  const { source } = await openTestSource([gateway.url], { maxStreams: 2 })
  const roots = []
  for (let seed = 40; seed < 46; seed++) roots.push((await gateway.store.add(sampleBytes(seed, 5 * MIB))).cid)
  const readers = roots.map((root) => source.cat(root)[Symbol.asyncIterator]())
  // The last one first, and none of them to its end before the others.
  const total = Array.from(readers, () => 0)
  for (let done = 0; done < readers.length;) {
    done = 0
    for (const [index, reader] of [...readers.entries()].toReversed()) {
      const next = await reader.next()
      if (next.done) done += 1
      else total[index] = (total[index] ?? 0) + next.value.length
    }
  }
  expect(total).toEqual(roots.map(() => 5 * MIB))
})

it('counts a node that was read before a stream, and comes again in it, once', async () => {
  const gateway = await startOddGateway({ duplicates: true, carParameters: 'version=1; order=dfs; dups=y' })
  const { cid } = await gateway.store.add(big)
  const { source } = await openTestSource([gateway.url])
  // As `pull` reads the nodes above the leaves first.
  const node = await source.blocks.get(cid)
  const counted: number[] = []
  const session = openSession(source.blocks, cid, {
    held: async (held) => (held.equals(cid) ? node.slice() : undefined),
    onFetched: (byteLength) => counted.push(byteLength),
  })
  expect(Buffer.compare(await concat(readFile(session.get, cid)), big)).toBe(0)
  await session.close()
  expect(counted).toEqual(Array.from({ length: 8 }, () => MIB))
})

it('reads in any order', async () => {
  const gateway = await startOddGateway()
  const { cid } = await gateway.store.add(big)
  const { source } = await openTestSource([gateway.url])
  const cids = []
  for await (const each of gateway.store.blocks.list()) cids.push(each)
  const session = openSession(source.blocks, cid)
  for (const each of cids.toReversed()) {
    expect(Buffer.compare(await session.get(each, {}), await gateway.store.blocks.get(each))).toBe(0)
  }
  const all = await Promise.all(cids.map((each) => session.get(each, {})))
  expect(all.length).toBe(cids.length)
  await session.close()
})

it('a call that is given up stops its request, and holds up nobody', async () => {
  const [asked, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const gateway = await startOddGateway({
    intercept(_request, response) {
      if (gateway.requests.length > 1) return false
      asked.resolve()
      response.on('close', left.resolve)
      return true
    },
  })
  const { cid } = await gateway.store.add(big)
  const { source } = await openTestSource([gateway.url])
  const session = openSession(source.blocks, cid)
  const caller = new AbortController()
  const reason = new Error('the caller gave up')
  const [givenUp, next] = [session.get(cid, { signal: caller.signal }), session.get(cid, {})]
  await asked.promise
  caller.abort(reason)
  await expect(givenUp).rejects.toBe(reason)
  expect(await next).toEqual(await gateway.store.blocks.get(cid))
  await left.promise
  expect(getEventListeners(caller.signal, 'abort').length).toBe(0)
  await session.close()
  await expect(session.get(cid, {})).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
})

/** Answers blocks and streams never, and says when somebody gave up on it. */
async function startSilent(): Promise<{ url: string; asked: Promise<void>; left: Promise<void> }> {
  const [asked, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const { url } = await startOddGateway({
    intercept: (_request, response) => {
      asked.resolve()
      response.on('close', left.resolve)
      return true
    },
  })
  return { url, asked: asked.promise, left: left.promise }
}

describe('a gateway that is silent', () => {
  it.each(['blocks.get', 'blocks.has', 'cat', 'status'])('%s stops at once, with signal.reason', async (call) => {
    const { url, asked, left } = await startSilent()
    const { source } = await openTestSource([url])
    const cid = await cidOf(DAG_PB, big)
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const calls: Record<string, (options: AbortOptions) => Promise<unknown>> = {
      'blocks.get': (options) => source.blocks.get(cid, options),
      'blocks.has': (options) => source.blocks.has(cid, options),
      cat: (options) => concat(source.cat(cid, options)),
      status: (options) => source.status(options),
    }
    const called = calls[call]?.({ signal: caller.signal })
    void asked.then(() => caller.abort(reason))
    await expect(called).rejects.toBe(reason)
    await left
    expect(getEventListeners(caller.signal, 'abort').length).toBe(0)
  })

  it('is left when another one was faster', async () => {
    const { url, left } = await startSilent()
    const fast = await startOddGateway()
    const { cid } = await fast.store.add(big)
    const { source } = await openTestSource([url, fast.url], { hedgeAfterMs: 20 })
    expect(await source.verify(cid)).toBeGreaterThan(big.length)
    await left
  })

  it('leaves no listener behind on a signal that outlives many calls', async () => {
    const gateway = await startOddGateway()
    const { cid } = await gateway.store.add(big)
    const { source } = await openTestSource([gateway.url])
    const { signal } = new AbortController()
    for (let turn = 0; turn < 20; turn++) {
      await source.blocks.has(cid, { signal })
      await concat(source.cat(cid, { offset: turn * 1000, length: 10, signal }))
    }
    expect(getEventListeners(signal, 'abort').length).toBe(0)
  })
})
