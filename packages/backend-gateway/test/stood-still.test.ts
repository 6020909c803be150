import { cidOf, RAW } from '@x/cid'
import { expect, it, onTestFinished, vi } from 'vitest'

import { expectArrival } from '../../../tooling/stand-still.ts'
import { sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { openStaticSource } from '../src/index.ts'
import { measureNoSpeed, openTestSource, PATIENT, typesOf } from './support.ts'

const STALL_MS = 200
const bytes = sampleBytes(1, 300)
const asBlock = { headers: { 'content-type': 'application/vnd.ipld.raw' } }

it('the answer to a probe that came while this process stood still is one', async () => {
  const { standStill, heard } = await expectArrival()
  const fetch: typeof globalThis.fetch = async (_input, init) => {
    standStill(2 * STALL_MS)
    await heard
    init?.signal?.throwIfAborted()
    return new Response('{"format":"ipfs-accelerate-static","version":1}')
  }
  const source = await openStaticSource({ url: 'http://static.example.org', stallTimeoutMs: STALL_MS, fetch })
  onTestFinished(() => source.close())
  expect(await source.status()).toMatchObject({ available: true })
})

it('a gateway that is asked once more, and answers while this process stands still, has answered', async () => {
  const { standStill, heard } = await expectArrival()
  let asked = 0
  const fetch: typeof globalThis.fetch = async (_input, init) => {
    asked += 1
    if (asked === 1) {
      return new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason))
      })
    }
    // Twice as long as it is waited for then, at least.
    standStill(1000)
    await heard
    init?.signal?.throwIfAborted()
    return new Response(bytes, asBlock)
  }
  const { source, events } = await openTestSource(['http://gateway.example.org'], { stallTimeoutMs: STALL_MS, fetch })
  expect(await source.blocks.get(await cidOf(RAW, bytes))).toEqual(bytes)
  expect(typesOf(events)).toEqual(['gateway-failed', 'retry-waited'])
})

it('the time in which this process stood still is none that a body took', async () => {
  measureNoSpeed()
  let isFirst = true
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (isFirst) {
          isFirst = false
          vi.advanceTimersByTime(2 * PATIENT.stallTimeoutMs)
          // Too few to be progress in all that time.
          controller.enqueue(bytes.slice(0, 100))
          return
        }
        // A thread takes some milliseconds to start.
        await expectArrival()
        controller.enqueue(bytes.slice(100))
        controller.close()
      },
    },
    { highWaterMark: 0 },
  )
  const fetch: typeof globalThis.fetch = async () => new Response(body, asBlock)
  const { source, events } = await openTestSource(['http://gateway.example.org'], { fetch })
  expect(await source.blocks.get(await cidOf(RAW, bytes))).toEqual(bytes)
  expect(typesOf(events)).toEqual([])
})
