import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { encode, type PBLink } from '@ipld/dag-pb'
import { cidOf, DAG_PB, encodeSymlink, type CID } from '@x/cid'
import { exportPath, type Storage } from '@x/node'
import type { DirectorySource } from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { openTemporary, temporaryDirectory } from './support.ts'

/** A directory block as nobody's `add` would make it. */
async function putDirectory(storage: Storage, entries: readonly (readonly [name: string, cid: CID])[]): Promise<CID> {
  const links: PBLink[] = entries.map(([name, cid]) => ({ Name: name, Tsize: 1, Hash: cid }))
  // UnixFS Data: type directory.
  const bytes = encode({ Data: Uint8Array.of(8, 1), Links: links })
  const cid = await cidOf(DAG_PB, bytes)
  await storage.blocks.put(cid, bytes)
  return cid
}

describe('exportPath', () => {
  it('writes a file below a path, and says what it wrote', async () => {
    const storage = await openTemporary()
    const folder = await temporaryDirectory()
    const source: DirectorySource = {
      type: 'directory',
      entries: () => [['a', { type: 'file', open: () => piecesOf('content') }]],
    }
    const { cid } = await storage.add(source)
    const written: number[] = []
    const stat = await exportPath(storage, cid, path.join(folder, 'out'), {
      path: 'a',
      onProgress: (n) => written.push(n),
    })
    expect(stat).toMatchObject({ type: 'file', size: 7 })
    expect(written).toEqual([7])
    expect(await readFile(path.join(folder, 'out'), 'utf8')).toBe('content')
  })

  it.each([
    ['climbs', '../evil'],
    ['is dots', '..'],
    ['is absolute', '/evil'],
    ['has a NUL', 'e\0vil'],
    ['is empty', ''],
  ])('writes nothing of a directory with a name that %s', async (_why, name) => {
    const storage = await openTemporary()
    const folder = await temporaryDirectory()
    const { cid: file } = await storage.add(new TextEncoder().encode('evil'))
    const root = await putDirectory(storage, [[name, file]])
    await expect(exportPath(storage, root, path.join(folder, 'out'))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(await readdir(folder)).toEqual([])
  })

  it('never writes through a symlink of the same name', async () => {
    const storage = await openTemporary()
    const folder = await temporaryDirectory()
    const outside = path.join(folder, 'outside')
    await mkdir(outside)
    const link = await encodeSymlink(1, outside)
    await storage.blocks.put(link.cid, link.bytes)
    const { cid: file } = await storage.add(new TextEncoder().encode('evil'))
    const inner = await putDirectory(storage, [['evil', file]])
    const root = await putDirectory(storage, [
      ['x', link.cid],
      ['x', inner],
    ])
    await expect(exportPath(storage, root, path.join(folder, 'out'))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(await readdir(outside)).toEqual([])
    expect(await readdir(folder)).toEqual(['outside'])
  })

  it('leaves nothing behind when it is stopped, when a file is damaged, or when the target is there', async () => {
    const storage = await openTemporary()
    const folder = await temporaryDirectory()
    const { cid } = await storage.add(new Uint8Array(3_000_000))
    const target = path.join(folder, 'out')
    const reason = new Error('enough')
    const stop = new AbortController()
    const stopped = exportPath(storage, cid, target, { signal: stop.signal, onProgress: () => stop.abort(reason) })
    await expect(stopped).rejects.toBe(reason)
    expect(await readdir(folder)).toEqual([])

    const stored = await storage.getPath?.(cid)
    if (stored === undefined) throw new Error('the store gives no path')
    await chmod(stored, 0o600)
    await writeFile(stored, Buffer.alloc(3_000_000, 1))
    await expect(exportPath(storage, cid, target)).rejects.toMatchObject({ code: 'INTEGRITY' })
    expect(await readdir(folder)).toEqual([])

    await writeFile(target, 'mine')
    const { cid: other } = await storage.add(new Uint8Array(3))
    await expect(exportPath(storage, other, target)).rejects.toMatchObject({ code: 'INVALID_INPUT', input: target })
    await expect(exportPath(storage, other, path.join(folder, 'no', 'out'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    expect(await readFile(target, 'utf8')).toBe('mine')
  })
})

async function* piecesOf(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text)
}
