import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { exportCarFile } from '@x/node'
import { exportCar, type ContentStore } from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { openTemporary, temporaryDirectory } from './support.ts'

async function setup() {
  const store = await openTemporary()
  const { cid } = await store.add(new Uint8Array(5_000_000).map((_, index) => (index * 7919) >> 8))
  const folder = await temporaryDirectory()
  return { store, cid, folder, target: path.join(folder, 'x.car') }
}

async function carOf(store: ContentStore, cid: Parameters<typeof exportCar>[1]): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of exportCar(store, cid)) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

describe('exportCarFile', () => {
  it('writes what exportCar gives, and says how far it is', async () => {
    const { store, cid, folder, target } = await setup()
    const seen: number[] = []
    const size = await exportCarFile(store, cid, target, { onProgress: (written) => seen.push(written) })
    const bytes = await carOf(store, cid)
    expect((await readFile(target)).equals(bytes)).toBe(true)
    expect(size).toBe(bytes.length)
    expect(seen.at(-1)).toBe(size)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(await readdir(folder)).toEqual(['x.car'])
  })

  it('leaves what is there as it was, unless told to replace a file', async () => {
    const { store, cid, folder, target } = await setup()
    await writeFile(target, 'mine')
    await expect(exportCarFile(store, cid, target)).rejects.toMatchObject({ code: 'INVALID_INPUT', input: target })
    expect(await readFile(target, 'utf8')).toBe('mine')
    await exportCarFile(store, cid, target, { force: true })
    expect((await readFile(target)).equals(await carOf(store, cid))).toBe(true)
    await mkdir(path.join(folder, 'directory'))
    await symlink('x.car', path.join(folder, 'link'))
    for (const name of ['directory', 'link']) {
      const exported = exportCarFile(store, cid, path.join(folder, name), { force: true })
      await expect(exported).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    }
    expect((await readdir(folder)).toSorted()).toEqual(['directory', 'link', 'x.car'])
  })

  it('does not overwrite what comes while it writes', async () => {
    const { store, cid, folder, target } = await setup()
    let isWritten: Promise<void> | undefined
    const exported = exportCarFile(store, cid, target, {
      onProgress: () => {
        isWritten ??= writeFile(target, 'theirs')
      },
    })
    await expect(exported).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await isWritten
    expect(await readFile(target, 'utf8')).toBe('theirs')
    expect(await readdir(folder)).toEqual(['x.car'])
  })

  it('leaves nothing when it is stopped, the root is absent, or there is no such directory', async () => {
    const { store, cid, folder, target } = await setup()
    const stop = new AbortController()
    const reason = new Error('enough')
    const stopped = exportCarFile(store, cid, target, {
      signal: stop.signal,
      onProgress: (written) => {
        if (written > 1_000_000) stop.abort(reason)
      },
    })
    await expect(stopped).rejects.toBe(reason)
    await store.remove(cid)
    await expect(exportCarFile(store, cid, target)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    const nowhere = path.join(folder, 'no', 'x.car')
    await expect(exportCarFile(store, cid, nowhere)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await readdir(folder)).toEqual([])
  })
})
