import { CarBlockIterator } from '@ipld/car'
import { cidOf } from '@x/cid'
import { openMemoryStore, type ContentStore } from '@x/storage-core'
import { expect, onTestFinished } from 'vitest'

import { createGatewayHandler } from '../src/gateway-handler.ts'
import type { GatewayOptions } from '../src/gateway-options.ts'

export const RAW_TYPE = 'application/vnd.ipld.raw'
export const CAR_TYPE = 'application/vnd.ipld.car'

export interface Gateway {
  store: ContentStore
  /** Answers `/ipfs` and what follows it. */
  ask: (path: string, headers?: Record<string, string>, method?: string) => Promise<Response>
}

/** A gateway over a memory store of its own. */
export async function openGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  return { store, ask: asker(createGatewayHandler(store, options)) }
}

export const asker =
  (handler: (request: Request) => Promise<Response>): Gateway['ask'] =>
  (path, headers = {}, method = 'GET') =>
    handler(new Request(`http://gateway.example${path}`, { headers, method }))

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export const bytesOf = async (response: Response): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer())

/** CIDs of a CAR in its order, each block checked, by @ipld/car. */
export async function carOf(response: Response): Promise<{ roots: string[]; cids: string[] }> {
  expect([response.status, response.headers.get('content-type')]).toEqual([200, expect.stringContaining(CAR_TYPE)])
  const iterator = await CarBlockIterator.fromBytes(await bytesOf(response))
  const cids: string[] = []
  for await (const { cid, bytes } of iterator) {
    expect((await cidOf(cid.code, bytes)).toString()).toBe(cid.toV1().toString())
    cids.push(cid.toString())
  }
  return { roots: (await iterator.getRoots()).map(String), cids }
}

/** An error is one line of text. */
export async function errorOf(response: Response): Promise<{ status: number; message: string }> {
  const text = await response.text()
  expect(text).toMatch(/^[^\n]+\n$/)
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  expect(response.headers.get('cache-control')).toBe('no-store')
  return { status: response.status, message: text.trim() }
}
