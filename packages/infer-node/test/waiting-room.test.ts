import { encodeParams, toParams } from '@x/infer-core'
import { openModel } from '@x/model-loader'
import { expect, it } from 'vitest'

import { openResidence, type Job, type Residence } from '../src/engine/residence.ts'
import { createWaitingRoom, type WaitingRoom } from '../src/engine/waiting-room.ts'
import { createLadder } from '../src/providers/ladder.ts'
import { mockProber } from './mock-prober.ts'
import { hold } from './support.ts'

const TASK = 'text-classification'

async function openOne(): Promise<Residence> {
  const { store, added } = await hold('tiny-sentiment')
  const model = await openModel(store, `ipfs://${added.cid}`)
  return openResidence('key', TASK, model, {
    dtype: undefined,
    isOwned: false,
    prepare: undefined,
    ladder: createLadder({ providers: ['cpu'], prober: mockProber({ cpu: true }), onWarning: none }),
    threads: 1,
    llamaThreads: 1,
    onWarning: none,
  })
}

const none = (): void => undefined

function jobOf(caller: string): Job {
  const input = { kind: 'text', text: 'good' } as const
  return { input, caller, onText: undefined, resolve: none, reject: none, isCancelled: false, onCancel: undefined }
}

/** Each with other parameters, so that it has a lane of its own. */
async function push(room: WaitingRoom, residence: Residence, caller: string, top: number): Promise<() => boolean> {
  const params = toParams(TASK, { top_k: top })
  return room.push(residence, params, await encodeParams(params), jobOf(caller))
}

it('bounds what waits in all lanes together, and of each caller', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 3, maxQueuedPerCaller: 2 })
  const withdraw = await push(room, residence, 'one', 1)
  await push(room, residence, 'one', 2)
  const ofOne = push(room, residence, 'one', 3)
  await expect(ofOne).rejects.toMatchObject({ code: 'BUSY', message: '2 requests of one wait already, of at most 2' })
  await push(room, residence, 'other', 4)
  await expect(push(room, residence, 'third', 5)).rejects.toMatchObject({ code: 'BUSY' })
  expect(withdraw()).toBe(true)
  expect(withdraw()).toBe(false)
  await push(room, residence, 'third', 5)
  expect(room.size).toBe(3)
})

it('keeps no lane in which nothing waits', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 10 })
  const withdraw = await push(room, residence, '', 1)
  await push(room, residence, '', 2)
  expect(residence.lanes.size).toBe(2)
  withdraw()
  expect(residence.lanes.size).toBe(1)
  expect(room.drain(residence)).toHaveLength(1)
  expect([residence.lanes.size, room.size]).toEqual([0, 0])
})

it('serves callers in turn, whatever the parameters', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 10 })
  for (const top of [1, 2, 3]) await push(room, residence, 'much', top)
  await push(room, residence, 'little', 4)
  const served: string[] = []
  for (let lane = room.inTurn([residence])[0]; lane; lane = room.inTurn([residence])[0]) {
    served.push(...room.take(lane, 1).map(({ caller }) => caller))
  }
  expect(served).toEqual(['much', 'little', 'much', 'much'])
})

it('gives a lane its turn whose caller shares the runs of another', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 100 })
  for (let count = 0; count < 10; count++) for (const caller of ['y', 'x']) await push(room, residence, caller, 1)
  await push(room, residence, 'x', 2)
  const served: unknown[] = []
  for (let run = 0; run < 3; run++) {
    const [lane] = room.inTurn([residence])
    if (!lane) throw new Error('something waits')
    served.push(lane.params['top_k'])
    room.take(lane, 2)
  }
  expect(served).toContain(2)
})
