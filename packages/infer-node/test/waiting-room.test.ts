import type { Block } from '@x/cid'
import { BusyError, encodeParams, toParams } from '@x/infer-core'
import { openModel } from '@x/model-loader'
import { array, assert, constantFrom, integer, nat, property, record } from 'fast-check'
import { expect, it } from 'vitest'

import { openResidence, type Job, type Lane, type Residence } from '../src/engine/residence.ts'
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

function jobOf(caller: string, text = 'good'): Job {
  const input = { kind: 'text', text } as const
  return { input, caller, onText: undefined, resolve: none, reject: none, isCancelled: false, onCancel: undefined }
}

/** Each with other parameters, so that it has a lane of its own. */
async function push(
  room: WaitingRoom,
  residence: Residence,
  caller: string,
  top: number,
  text?: string,
): Promise<Ticket> {
  const params = toParams(TASK, { top_k: top })
  return room.push(residence, params, await encodeParams(params), jobOf(caller, text))
}

const lengthOf = ({ input }: Job): number => (input.kind === 'text' ? input.text.length : 0)

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

const CALLERS = ['a', 'b', 'c']
const LANES = [1, 2]
const LIMITS = { maxQueued: 12, maxQueuedPerCaller: 5 }

type Step = { caller: string; top: number; at: number; most: number }

/** A room, and what is in it, as a list. Each step gives what the room said, and what it was to say. */
function watchRoom(residence: Residence, blocks: readonly Block[]) {
  const room = createWaitingRoom(LIMITS)
  const pushed: { job: Job; ticket: Ticket }[] = []
  let waiting: { job: Job; top: number; callers: string[] }[] = []
  const of = (caller: string): number => waiting.filter(({ callers }) => callers.includes(caller)).length
  const size = (): number => waiting.reduce((sum, { callers }) => sum + callers.length, 0)
  const mayEnter = (caller: string): boolean => size() < LIMITS.maxQueued && of(caller) < LIMITS.maxQueuedPerCaller
  const laneOf = (top: number): Lane | undefined =>
    [...residence.lanes.values()].find(({ params }) => params['top_k'] === top)
  const numberOf = (job: Job): number => pushed.findIndex((one) => one.job === job)
  const find = (at: number) => waiting.find(({ job }) => job === pushed[at]?.job)
  return {
    push({ caller, top }: Step): [unknown, unknown] {
      const [job, block, may] = [jobOf(caller), blocks[LANES.indexOf(top)], mayEnter(caller)]
      if (!block) throw new TypeError('there is no such lane')
      try {
        pushed.push({ job, ticket: room.push(residence, toParams(TASK, { top_k: top }), block, job) })
        waiting.push({ job, top, callers: [caller] })
        return [true, may]
      } catch (error) {
        return [error instanceof BusyError, !may]
      }
    },
    alsoFor({ at, caller }: Step): [unknown, unknown] {
      const one = find(at)
      if (one && !one.callers.includes(caller) && mayEnter(caller)) one.callers.push(caller)
      return [pushed[at]?.ticket.alsoFor(caller) ?? false, one !== undefined]
    },
    notFor({ at, caller }: Step): [unknown, unknown] {
      const one = find(at)
      if (one && one.callers.length > 1) one.callers = one.callers.filter((other) => other !== caller)
      return [pushed[at]?.ticket.notFor(caller), undefined]
    },
    withdraw({ at }: Step): [unknown, unknown] {
      const one = find(at)
      waiting = waiting.filter((other) => other !== one)
      return [pushed[at]?.ticket.withdraw() ?? false, one !== undefined]
    },
    take({ top, most }: Step): [unknown, unknown] {
      const lane = laneOf(top)
      const there = waiting.filter((one) => one.top === top).length
      const taken = lane ? room.take(lane, most) : []
      waiting = waiting.filter(({ job }) => !taken.includes(job))
      const left = waiting.filter((one) => one.top === top).length
      return [
        [taken.length, there - left],
        [Math.min(most, there), Math.min(most, there)],
      ]
    },
    /** What is in it, and what is to be. */
    contents: (): [unknown, unknown] => [
      { size: room.size, lanes: LANES.map((top) => [...(laneOf(top)?.places.keys() ?? [])].map(numberOf)) },
      {
        size: size(),
        lanes: LANES.map((top) => waiting.filter((one) => one.top === top).map(({ job }) => numberOf(job))),
      },
    ],
  }
}

const someSteps = array(
  record({
    does: constantFrom('push', 'push', 'alsoFor', 'alsoFor', 'notFor', 'withdraw', 'take'),
    caller: constantFrom(...CALLERS),
    top: constantFrom(...LANES),
    // Of a job that was pushed, whether it waits or not.
    at: nat(20),
    most: integer({ min: 1, max: 4 }),
  }),
  { maxLength: 40, size: 'max' },
)

it('holds each job once for all who want it, and takes as many as it is asked for', async () => {
  const residence = await openOne()
  const blocks = await Promise.all(LANES.map((top) => encodeParams(toParams(TASK, { top_k: top }))))
  assert(
    property(someSteps, (given) => {
      residence.lanes.clear()
      const watched = watchRoom(residence, blocks)
      for (const { does, ...step } of given) {
        for (const [told, wanted] of [watched[does](step), watched.contents()]) expect(told).toEqual(wanted)
      }
    }),
  )
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

const some = (count: number, length: number): number[] => Array.from({ length: count }, () => length)

it('takes texts of like length together, and whoever has his turn is among them', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 1000 })
  const lengths = [40, 400, 80, 1600]
  for (let count = 0; count < 6; count++) {
    for (const length of lengths) await push(room, residence, 'much', 1, 'a'.repeat(length))
  }
  await push(room, residence, 'little', 1, 'a'.repeat(900))
  const [lane] = residence.lanes.values()
  if (!lane) throw new Error('something waits')
  const takes = Array.from({ length: 4 }, () =>
    room
      .take(lane, 8)
      .map(lengthOf)
      .toSorted((a, b) => a - b),
  )
  // Rather more than will share a run. First comes who came first, then the other one.
  expect(takes).toEqual([[...some(6, 40), 80, 80], [900, ...some(6, 1600)], some(6, 400), some(4, 80)])
})

it('lets nobody wait for more turns than there are who came before him, whatever the lengths', async () => {
  const residence = await openOne()
  const room = createWaitingRoom({ maxQueued: 1000 })
  for (let caller = 0; caller < 10; caller++) {
    await push(room, residence, `before ${caller}`, 1, 'a'.repeat(8 + caller))
  }
  await push(room, residence, 'one', 1, 'a'.repeat(5000))
  const [lane] = residence.lanes.values()
  if (!lane) throw new Error('something waits')
  let turns = 0
  for (let isServed = false; !isServed; turns++) {
    isServed = room.take(lane, 2).some(({ caller }) => caller === 'one')
    for (const caller of ['x', 'y', 'z']) await push(room, residence, `${caller} ${turns}`, 1, 'a'.repeat(10))
  }
  expect(turns).toBeLessThanOrEqual(11)
})
