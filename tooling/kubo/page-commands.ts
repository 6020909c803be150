import { Buffer } from 'node:buffer'

import type { BrowserCommand } from 'vitest/node'

import { findKubo, NO_KUBO } from './find-kubo.ts'
import { startKubo, type KuboNode, type StartKuboOptions } from './start-kubo.ts'

/** What a page knows of a daemon. */
export interface PageKubo {
  id: number
  version: string
  peerId: string
  gateway: string
  api: string
  addresses: readonly string[]
}

declare module 'vitest/browser' {
  interface BrowserCommands {
    /** A daemon for a test in a page; a reason to skip the test where there is no Kubo. */
    startKubo: (options?: StartKuboOptions) => Promise<PageKubo | { reason: string }>
    /** As `ipfs` of a node; gives what it prints. */
    kuboIpfs: (id: number, args: readonly string[], inputBase64?: string) => Promise<string>
    stopKubo: (id: number) => Promise<void>
  }
}

const running = new Map<number, KuboNode>()
let started = 0

function nodeOf(id: number): KuboNode {
  const node = running.get(id)
  if (!node) throw new Error(`no daemon ${id} was started`)
  return node
}

const start: BrowserCommand<[options?: StartKuboOptions]> = async (_context, options) => {
  const kubo = findKubo()
  if (!kubo) return { reason: NO_KUBO }
  const node = await startKubo(kubo, options)
  const id = (started += 1)
  running.set(id, node)
  const { version, peerId, gateway, api, addresses } = node
  return { id, version, peerId, gateway, api, addresses }
}

const ipfs: BrowserCommand<[id: number, args: readonly string[], inputBase64?: string]> = async (
  _context,
  id,
  args,
  inputBase64,
) => {
  const input = inputBase64 === undefined ? {} : { input: Buffer.from(inputBase64, 'base64') }
  return (await nodeOf(id).ipfs(args, input)).stdout.toString()
}

const stop: BrowserCommand<[id: number]> = async (_context, id) => {
  await nodeOf(id).stop()
  running.delete(id)
}

/** For `browser.commands` of Vitest. */
export const pageCommands: { startKubo: typeof start; kuboIpfs: typeof ipfs; stopKubo: typeof stop } = {
  startKubo: start,
  kuboIpfs: ipfs,
  stopKubo: stop,
}
