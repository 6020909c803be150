import { expect, it } from 'vitest'

import { createServedList } from '../src/models/served-list.ts'
import { only, openModels } from './support.ts'

it('lets a model go when the last request that is about it has its answer', async () => {
  const model = only(await openModels('tiny-bert'))
  const list = createServedList(() => () => Promise.reject(new Error('nobody asks')))
  const served = { name: 'a', cid: model.cid, tasks: [], createdAt: new Date() }
  list.reserve(served, { model })
  expect([list.port.hold?.(served), list.find('a')]).toEqual([undefined, undefined])
  list.publish(served)
  const releases = [list.port.hold?.(served), list.port.hold?.(served)]
  const events: string[] = []
  const gone = list.remove(served).then(() => events.push('gone'))
  expect([list.port.hold?.(served), list.list(), list.sourceOf(served)]).toEqual([undefined, [], { model }])
  for (const release of releases) {
    // What waits has all turns that it could want.
    await new Promise((resolve) => setImmediate(resolve))
    events.push('released')
    release?.()
  }
  await gone
  expect(events).toEqual(['released', 'released', 'gone'])
  expect(() => list.reserve({ ...served, name: 'b' }, { model })).toThrow('more than once')
  list.forget(served)
  list.reserve(served, { model })
})
