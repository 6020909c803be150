import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { parseCid, type ProfileName } from '@x/cid'
import { exportCar, importCar } from '@x/storage-core'
import { expect, it } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { bytesOf, directoryOf, isSame, openTemp, someBytes, tempDirectory } from './support.ts'

// CAR files of Kubo (`ipfs dag import` and `ipfs dag export`), both ways, without a daemon.

const run = promisify(execFile)

const MIB = 1024 * 1024
const files = { 'a.bin': someBytes(5 * MIB + 7, 'a'), 'b.txt': someBytes(300, 'b'), empty: new Uint8Array() }

it.for<ProfileName>(['unixfs-v1-2025', 'kubo-v1', 'unixfs-v0-2015'])(
  'Kubo takes what is exported, and what it exports is taken: %s',
  async (profile, context) => {
    const kubo = kuboOrSkip(context)
    const directory = await tempDirectory()
    const env = { ...process.env, IPFS_PATH: join(directory, 'kubo'), IPFS_TELEMETRY: 'off' }
    const ipfs = async (...args: string[]): Promise<Buffer> => {
      const options = { env, encoding: 'buffer', maxBuffer: 64 * MIB } as const
      return (await run(kubo.path, ['--offline', ...args], options)).stdout
    }
    await ipfs('init', '--profile=test')
    const { store } = await openTemp()
    const { cid } = await store.add(directoryOf(files), { profile })
    const ours = await bytesOf(exportCar(store, cid))
    const path = join(directory, 'ours.car')
    await writeFile(path, ours)
    // Fails unless the root is complete.
    expect((await ipfs('dag', 'import', '--pin-roots', path)).toString()).toContain(`${cid}`)
    expect(isSame(await ipfs('cat', `/ipfs/${cid}/a.bin`), files['a.bin'])).toBe(true)

    const theirs = await ipfs('dag', 'export', '--progress=false', `${cid}`)
    expect(isSame(theirs, ours)).toBe(true)
    const { store: into } = await openTemp()
    expect((await importCar(into, [theirs], { name: 'from-kubo' })).roots).toEqual([cid])
    for (const [name, bytes] of Object.entries(files)) {
      expect(isSame(await bytesOf(into.cat(cid, { path: name })), bytes)).toBe(true)
    }

    // What Kubo made itself, of files on disk.
    const user = join(directory, 'model.bin')
    await writeFile(user, files['a.bin'])
    const added = (await ipfs('add', '--quieter', '--progress=false', user)).toString().trim()
    const car = await ipfs('dag', 'export', '--progress=false', added)
    const { roots } = await importCar(into, [car])
    expect(roots.map(String)).toEqual([parseCid(added).toString()])
    const imported = roots.map((root) => into.getPath(root))
    for (const at of await Promise.all(imported)) expect(isSame(await readFile(at), files['a.bin'])).toBe(true)
  },
)
