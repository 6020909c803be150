import { CID } from '@x/cid'

import { openedStore } from './storage.ts'

/**
 * A file of JSON of a stored model.
 *
 * @throws {NotFoundError} It has none of that path. @throws {SyntaxError} It is no JSON.
 */
export async function readModelJson(cid: string, path: string): Promise<unknown> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for await (const piece of openedStore().cat(CID.parse(cid), { path })) pieces.push(piece.slice())
  return JSON.parse(await new Blob(pieces).text())
}
