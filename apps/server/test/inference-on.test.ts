import { parseCid } from '@x/cid'
import { createEngine, type Engine, type EngineStats } from '@x/infer-node'
import { expect, it, onTestFinished } from 'vitest'

import { inferenceOn } from '../src/inference-on.ts'

const CID = 'bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'

/** A real engine's own, but for what it says of models: of which of them threads crashed. */
function mockEngineStats(models: readonly { task: string; isLeftAlone: boolean }[]): Engine {
  const engine = createEngine()
  onTestFinished(() => engine.close())
  const held = models.map(({ task, isLeftAlone }): EngineStats['models'][number] => ({
    cid: CID,
    task,
    state: 'loaded',
    usedMs: 0,
    bytes: 1,
    queued: 0,
    executionProvider: 'cpu',
    quarantinedUntilMs: isLeftAlone ? Date.now() + 60_000 : undefined,
  }))
  return { ...engine, stats: () => ({ ...engine.stats(), models: held }) }
}

const isReady = (tasks: readonly 'feature-extraction'[], ...models: Parameters<typeof mockEngineStats>[0]): boolean =>
  inferenceOn(mockEngineStats(models), () => {
    throw new Error('nothing is run')
  }).isReady({ name: 'm', cid: parseCid(CID), tasks, createdAt: new Date() })

const sound = { task: 'raw-tensors', isLeftAlone: false }
const broken = { task: 'raw-tensors', isLeftAlone: true }

it('is ready while what a model is served for can be run', () => {
  const embeds = { task: 'feature-extraction', isLeftAlone: false }
  expect(isReady(['feature-extraction'])).toBe(true)
  expect(isReady(['feature-extraction'], embeds, broken)).toBe(true)
  expect(isReady(['feature-extraction'], { ...embeds, isLeftAlone: true }, sound)).toBe(false)
  expect(isReady([], sound, broken)).toBe(true)
  expect(isReady([], broken)).toBe(false)
  expect(isReady([])).toBe(true)
})
