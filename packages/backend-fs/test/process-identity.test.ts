import { Worker } from 'node:worker_threads'

import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'

import { isGivenUp, livenessOf, livenessOfName, thisProcess, uniqueName } from '../src/process-identity.ts'
import { startChild, tempDirectory } from './support.ts'

const HOUR_MS = 60 * 60 * 1000
const onLinux = process.platform === 'linux'
const proc = vi.hoisted(() => ({ isHidden: false }))

function unlessHidden<A extends unknown[], R>(read: (path: string, ...rest: A) => R) {
  return (path: string, ...rest: A): R => {
    if (proc.isHidden && path.startsWith('/proc')) throw Object.assign(new Error('hidden'), { code: 'ENOENT' })
    return read(path, ...rest)
  }
}

vi.mock('node:fs', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs')>()
  return {
    ...original,
    readFileSync: unlessHidden(original.readFileSync),
    readlinkSync: unlessHidden(original.readlinkSync),
  }
})

beforeEach(() => {
  proc.isHidden = false
})

/** Both ways to ask, which agree. */
function ask(owner: ReturnType<typeof thisProcess>): string {
  const self = thisProcess()
  const liveness = livenessOf(owner, self)
  expect(livenessOfName(uniqueName(owner), self)).toBe(liveness)
  return liveness
}

async function someChild() {
  const child = startChild('add-forever', await tempDirectory())
  const { pid } = child.process
  if (pid === undefined) throw new Error('it did not start')
  return { ...child, pid }
}

it.each([-48, 48])('it is this process, whatever the clock says: %d hours off', (hours) => {
  const before = thisProcess()
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + hours * HOUR_MS })
  onTestFinished(() => void vi.useRealTimers())
  expect(ask(before)).toBe('alive')
})

it('an id that a later process has got is not alive', async (context) => {
  if (!onLinux) context.skip('only Linux tells when a process started')
  const { pid } = await someChild()
  const self = thisProcess()
  expect(ask({ ...self, pid, life: '1' })).toBe('dead')
  expect(ask({ ...self, life: '1' })).toBe('dead')
})

it.each(['as the system is', 'without /proc'])('a process that runs, and one that does not: %s', async (where) => {
  proc.isHidden = where !== 'as the system is'
  const child = await someChild()
  const self = thisProcess()
  const isKnown = onLinux && !proc.isHidden
  expect(ask({ ...self, pid: child.pid, life: 'abc' })).toBe(isKnown ? 'dead' : 'unknown')
  expect(ask(self)).toBe('alive')
  // Another thread of this process, or an earlier process with its id.
  expect(ask({ ...self, life: 'abc' })).toBe(isKnown ? 'dead' : 'unknown')
  child.process.kill('SIGKILL')
  await child.ended
  expect(ask({ ...self, pid: child.pid, life: 'abc' })).toBe('dead')
})

it('another thread of this process is not dead', async () => {
  const file = new URL('children/identity.ts', import.meta.url)
  const worker = new Worker(file, { execArgv: ['--conditions=@x/source'] })
  onTestFinished(() => void worker.terminate())
  const { promise, resolve, reject } = Promise.withResolvers<ReturnType<typeof thisProcess>>()
  worker.on('message', resolve)
  worker.on('error', reject)
  expect(ask(await promise)).toBe(onLinux ? 'alive' : 'unknown')
})

it('what cannot be seen is given up after a day, what is known at once or never', () => {
  const elsewhere = { ...thisProcess(), machine: 'not this one' }
  expect(ask(elsewhere)).toBe('unknown')
  expect(ask({ ...thisProcess(), scope: 'another container' })).toBe('unknown')
  expect(livenessOfName('whatever', thisProcess())).toBe('unknown')
  expect(livenessOf({ ...thisProcess(), boot: 'an earlier one' }, thisProcess())).toBe('dead')
  expect([isGivenUp('unknown', 23 * HOUR_MS), isGivenUp('unknown', 25 * HOUR_MS)]).toEqual([false, true])
  expect([isGivenUp('dead', -HOUR_MS), isGivenUp('alive', 999 * HOUR_MS)]).toEqual([true, false])
})
