import { describe, expect, it } from 'vitest'

import { openTemporary } from './support.ts'

describe('openStorage', () => {
  it('opens the local store and says what it is made of', async () => {
    const storage = await openTemporary()
    const { cid } = await storage.add(new TextEncoder().encode('hello world'))
    expect(cid.toString()).toBe('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
    const report = await storage.describe()
    expect(report.backends).toMatchObject([{ name: 'fs', available: true }])
    expect(report.gates.find(({ feature }) => feature === 'kubo')).toMatchObject({
      position: 'prefer',
      implemented: false,
    })
  })

  it.each(['kubo', 'helia', 'gateway', 's3', 'pinning', 'lan', 'hub'] as const)(
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

  it('names the variable whose value means nothing', async () => {
    await expect(openTemporary({ environment: { IPFS_KIT_DISABLE: 'perhaps' } })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('IPFS_KIT_DISABLE'),
    })
  })
})
