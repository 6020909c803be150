import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { addModel, openStorage, serveGateway } from '@x/node'
import { onTestFinished } from 'vitest'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'

/** A real gateway that has a model, behind a host on which faults can be had. */
export interface FaultyGateway {
  url: string
  cid: string
  /** Of each answer that was begun: what was asked for, and its bytes. */
  answered: { asked: string; bytes: number }[]
  /** Nobody is answered any more once so many bytes would have been: resolves when the first one waits. */
  holdAfter: (bytes: number) => Promise<void>
  /** Whoever comes from now on is told of an error. */
  fail: () => void
  /** Whoever comes from now on is answered. Those who wait stay without an answer. */
  goOn: () => void
  /** From now on one byte of each leaf is another. */
  lie: () => void
  /** Of all answers that were begun. */
  bytes: () => number
}

/**
 * Ends with the test.
 *
 * @param note - A file beside those of the model, so that it is another one.
 */
export async function serveFaultyGateway(note?: string): Promise<FaultyGateway> {
  const directory = await mkdtemp(path.join(tmpdir(), 'page-gateway-'))
  const storage = await openStorage({
    directory: path.join(directory, 'store'),
    environment: { IPFS_ACCELERATE_NETWORK: 'local' },
  })
  const folder = path.join(directory, 'model')
  await cp(fileURLToPath(modelDirectory), folder, { recursive: true })
  if (note !== undefined) await writeFile(path.join(folder, 'note.txt'), note)
  const { cid } = await addModel(storage, folder)
  const gateway = await serveGateway(storage)
  onTestFinished(async () => {
    await gateway.close()
    await storage.close()
    await rm(directory, { recursive: true, force: true })
  })
  const answered: FaultyGateway['answered'] = []
  const bytes = (): number => answered.reduce((sum, answer) => sum + answer.bytes, 0)
  let most = Infinity
  let lies = false
  let fails = false
  let waiting = Promise.withResolvers<void>()
  const origin = await serveOnLoopback((request, response) => {
    const cors = {
      'access-control-allow-origin': '*',
      'access-control-allow-headers': '*',
      'access-control-expose-headers': '*',
    }
    const pass = async (): Promise<void> => {
      const { accept, range } = request.headers
      const asked = `${request.method} ${request.url} ${range ?? ''}`
      const answer = await fetch(`${gateway.url}${request.url}`, {
        method: request.method ?? 'GET',
        headers: { ...(accept !== undefined && { accept }), ...(range !== undefined && { range }) },
      })
      const body = Buffer.from(await answer.arrayBuffer())
      if (bytes() + body.length > most) {
        // Nor a shorter one that comes later.
        most = 0
        waiting.resolve()
        return
      }
      answered.push({ asked, bytes: body.length })
      // No root, whose bytes say what else is asked for.
      if (lies && body.length > 100_000) body[body.length >> 1]! ^= 1
      const named = ['content-type', 'content-range', 'etag', 'x-ipfs-roots'].flatMap((name) => {
        const value = answer.headers.get(name)
        return value === null ? [] : [[name, value] as const]
      })
      response.writeHead(answer.status, { ...cors, ...Object.fromEntries(named) })
      response.end(body)
    }
    if (request.method === 'OPTIONS') response.writeHead(204, cors).end()
    else if (fails) response.writeHead(410, cors).end()
    else pass().catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  })
  return {
    url: `${origin}/`,
    cid: cid.toString(),
    answered,
    holdAfter(after) {
      most = after
      waiting = Promise.withResolvers<void>()
      return waiting.promise
    },
    fail() {
      fails = true
    },
    goOn() {
      most = Infinity
      fails = false
    },
    lie() {
      lies = true
    },
    bytes,
  }
}
