import { encodeParams, toParams } from '@x/infer-core'
import { openModel } from '@x/model-loader'
import { expect, it } from 'vitest'

import { openResidence, type Job, type Residence } from '../src/engine/residence.ts'
import { createWaitingRoom, type Ticket, type WaitingRoom } from '../src/engine/waiting-room.ts'
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
async function push(room: WaitingRoom, residence: Residence, caller: string, top: number): Promise<Ticket> {
  const params = toParams(TASK, { top_k: top })
  return room.push(residence, params, await encodeParams(params), jobOf(caller))
}

it('bounds what waits in all lanes together, and of each caller', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 3, maxQueuedPerCaller: 2 })
  const ticket = await push(room, residence, 'one', 1)
  await push(room, residence, 'one', 2)
  const ofOne = push(room, residence, 'one', 3)
  await expect(ofOne).rejects.toMatchObject({ code: 'BUSY', message: '2 requests of one wait already, of at most 2' })
  await push(room, residence, 'other', 4)
  await expect(push(room, residence, 'third', 5)).rejects.toMatchObject({ code: 'BUSY' })
  expect(ticket.withdraw()).toBe(true)
  expect(ticket.withdraw()).toBe(false)
  await push(room, residence, 'third', 5)
  expect(room.size).toBe(3)
})

it('keeps no lane in which nothing waits', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 10 })
  const ticket = await push(room, residence, '', 1)
  await push(room, residence, '', 2)
  expect(residence.lanes.size).toBe(2)
  ticket.withdraw()
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

it('takes what several want when the first of them has his turn, and once', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 10, maxQueuedPerCaller: 6 })
  for (let count = 0; count < 5; count++) await push(room, residence, 'much', 1)
  const ticket = await push(room, residence, 'much', 1)
  ticket.alsoFor('little')
  ticket.alsoFor('little')
  ticket.alsoFor('gone')
  expect(room.size).toBe(8)
  ticket.notFor('gone')
  ticket.notFor('nobody')
  expect(room.size).toBe(7)
  const [lane] = residence.lanes.values()
  if (!lane) throw new Error('something waits')
  const [first, second, ...others] = [room.take(lane, 1), room.take(lane, 1), room.take(lane, 10)].flat()
  // The second is the one that both want.
  expect(new Set([first, second, ...others]).size).toBe(6)
  expect([ticket.withdraw(), room.size, residence.lanes.size]).toEqual([false, 0, 0])
  ticket.alsoFor('late')
  expect(room.size).toBe(0)
  // In one run it is once, whoever's turn it is.
  const again = await push(room, residence, 'much', 1)
  again.alsoFor('little')
  expect([...residence.lanes.values()].flatMap((one) => room.take(one, 10))).toHaveLength(1)
  expect(room.size).toBe(0)
})

it('takes out what several want when none of them wants it any more, and makes no room for more than may wait', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 3, maxQueuedPerCaller: 1 })
  const ticket = await push(room, residence, 'one', 1)
  await push(room, residence, 'full', 2)
  ticket.alsoFor('full')
  expect(room.size).toBe(2)
  ticket.alsoFor('other')
  ticket.alsoFor('third')
  expect(room.size).toBe(3)
  ticket.notFor('one')
  expect(room.size).toBe(2)
  // The last of them takes it out himself.
  ticket.notFor('other')
  expect([room.size, ticket.withdraw(), room.size]).toEqual([2, true, 1])
})
