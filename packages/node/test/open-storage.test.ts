import { existsSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { assertMayGoOn, assertRequired, buildPath, from, openStorage, pathSource } from '@x/node'
import { describe, expect, it } from 'vitest'

import { openTemporary, temporaryDirectory } from './support.ts'

describe('openStorage', () => {
  it('opens the local store and says what it is made of', async () => {
    const storage = await openTemporary()
    const { cid } = await storage.add(new TextEncoder().encode('hello world'))
    expect(cid.toString()).toBe('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
    const report = await storage.describe()
    expect(report.backends).toMatchObject([{ name: 'fs', available: true }])
    expect(report.gates.find(({ feature }) => feature === 'kubo')).toMatchObject({
      position: 'prefer',
      implemented: true,
    })
  })

  it('obeys the gates of a configuration, below the environment, and says which line it was', async () => {
    const configuration = { gates: { gates: { kubo: 'off', s3: 'off' }, places: { kubo: 'a.toml:2' } } }
    const storage = await openTemporary({ configuration, environment: { IPFS_ACCELERATE_S3: 'prefer' } })
    expect(storage.gates.features.kubo).toMatchObject({ position: 'off', reason: 'Set in a.toml:2: kubo=off.' })
    expect(storage.gates.features.s3).toMatchObject({ position: 'prefer', source: 'environment' })
  })

  it.each(['kubo', 'helia', 'gateway', 's3', 'pinning', 'lan'] as const)(
    'refuses a required %s, which this version has not got, whoever requires it',
    async (feature) => {
      const variable = `IPFS_ACCELERATE_${feature.toUpperCase()}`
      await expect(openTemporary({ environment: { [variable]: 'require' } })).rejects.toMatchObject({
        code: 'GATED',
        feature,
        message: expect.stringContaining(variable),
      })
      await expect(openTemporary({ gates: { [feature]: 'require' } })).rejects.toMatchObject({ code: 'GATED', feature })
    },
  )

  it('a hub that is required is required where it is asked, not to open a storage', async () => {
    const storage = await openTemporary({ environment: { IPFS_ACCELERATE_HUB: 'require' } })
    const { gates } = await storage.describe()
    for (const feature of ['hub', 'patch']) {
      expect(gates.find((gate) => gate.feature === feature)).toMatchObject({ implemented: true })
    }
  })

  it('a bucket that is required is content where a bucket is named, beside a storage or by a reference', async () => {
    const environment = { IPFS_ACCELERATE_S3: 'require' }
    const { directory } = await openTemporary({ environment, beside: ['s3'] })
    const reference = 's3://models/tiny'
    // Nothing was pulled from there.
    await expect(from(reference, { directory, environment })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      what: reference,
    })
    await expect(from('org/name', { directory, environment })).rejects.toMatchObject({ code: 'GATED', feature: 's3' })
  })

  it('has who goes on without a required backend refused, unless another one of its gate is left', () => {
    const environment = { IPFS_ACCELERATE_GATEWAY: 'require' }
    const failed = { kind: 'gateway', error: new Error('down') } as const
    const refusal = /gateway is required, and failed: down\..*IPFS_ACCELERATE_GATEWAY=require/
    expect(() => assertMayGoOn(failed, ['kubo'], { environment })).toThrow(refusal)
    expect(() => assertMayGoOn(failed, ['kubo', 'static'], { environment })).not.toThrow()
    expect(() => assertMayGoOn({ ...failed, kind: 'kubo' }, [], { environment })).not.toThrow()
    expect(() => assertRequired(['kubo'], { environment })).toThrow(/gateway is required, and none was named/)
    expect(() => assertRequired(['static'], { environment })).not.toThrow()
  })

  it('names the variable whose value means nothing', async () => {
    await expect(openTemporary({ environment: { IPFS_KIT_DISABLE: 'perhaps' } })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('IPFS_KIT_DISABLE'),
    })
  })

  it('makes no store when told not to', async () => {
    const directory = path.join(await temporaryDirectory(), 'store')
    const opened = openStorage({ directory, environment: {}, create: false })
    await expect(opened).rejects.toMatchObject({ code: 'NOT_FOUND', what: directory })
    expect(existsSync(directory)).toBe(false)
  })

  it('stays below maxBytes, and says what went for it', async () => {
    const warnings: string[] = []
    const storage = await openTemporary({ maxBytes: 400_000, onWarning: (message) => warnings.push(message) })
    const first = await storage.add(new Uint8Array(300_000).fill(1), { pin: false })
    await storage.add(new Uint8Array(300_000).fill(2))
    expect(await storage.has(first.cid)).toBe(false)
    expect(warnings).toEqual([expect.stringContaining('removed 1 roots')])
    await expect(storage.add(new Uint8Array(300_000).fill(3))).rejects.toMatchObject({ code: 'NO_SPACE' })
    await expect(openTemporary({ maxBytes: -1 })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it.each([
    ['cannot be read', (derived: string) => symlink(derived, derived)],
    [
      'has an entry that cannot be read',
      (derived: string) => mkdir(path.join(derived, 'a', 'b', 'record.json'), { recursive: true }),
    ],
  ])('says what gc collected, also where what sessions derived %s', async (_, spoil) => {
    const warnings: string[] = []
    const storage = await openTemporary({ onWarning: (message) => warnings.push(message) })
    const { cid } = await storage.add(new Uint8Array(300_000).fill(1), { pin: false })
    await spoil(path.join(storage.directory, 'derived'))
    const { roots, freedBytes, derivedError } = await storage.gc()
    expect(roots).toEqual([cid])
    expect(freedBytes).toBeGreaterThanOrEqual(300_000)
    expect(derivedError).toMatchObject({ code: 'BACKEND', message: expect.stringMatching(/ELOOP|EISDIR/) })
    expect(warnings).toEqual([derivedError?.message])
  })

  it('adds by reference, hashes without a store, and makes its index anew', async () => {
    const storage = await openTemporary()
    const file = path.join(await temporaryDirectory(), 'large')
    await writeFile(file, new Uint8Array(300_000).fill(7))
    const { cid } = await storage.add(await pathSource(file), { mode: 'reference' })
    expect((await buildPath(file)).cid.toString()).toBe(cid.toString())
    expect(await storage.getPath(cid)).toBe(file)
    expect(await storage.rebuild()).toMatchObject({ roots: 1, pins: 1, names: 0, pinned: [] })
  })
})
