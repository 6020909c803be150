import { InvalidInputError } from '@x/cid'

import type { EngineOptions } from './engine.ts'

interface Rule {
  isMet: (value: number) => boolean
  /** What a value is. */
  says: string
}

/** With 16 threads of Node 24 end while they load the smallest model, with 24 it runs; with 2 the whole process ends. */
const LEAST_HEAP_MIB = 24
/** A timer of more goes off at once. https://nodejs.org/api/timers.html#settimeoutcallback-delay-args */
const LONGEST_MS = 2 ** 31 - 1

const COUNT: Rule = { isMet: (value) => Number.isSafeInteger(value) && value > 0, says: 'a whole number from 1' }
const LIMIT: Rule = { isMet: (value) => value === Infinity || COUNT.isMet(value), says: `${COUNT.says}, or Infinity` }
const BYTES: Rule = { isMet: (value) => value >= 0, says: 'a number from 0' }
const MILLISECONDS: Rule = {
  isMet: (value) => value >= 0 && value <= LONGEST_MS,
  says: `a number from 0 to ${LONGEST_MS}, the longest that a timer takes`,
}
const HEAP: Rule = {
  isMet: (value) => value >= LEAST_HEAP_MIB && value < Infinity,
  says: `a number from ${LEAST_HEAP_MIB}, which a thread needs to load a model`,
}

/**
 * Of numbers that mean nothing an engine would wait for ever, or turn round and round.
 *
 * @throws {InvalidInputError} One is out of its bounds; it names it.
 */
export function assertNumbers(options: EngineOptions): void {
  const { workers, threads, heapMib, memoryBytes, minResidentMs, keepAliveMs, quarantineMs, batch } = options
  const { maxQueued, maxQueuedPerCaller, maxQueuedBytes, maxQueuedBytesPerCaller } = options
  const { maxRows, maxTokens, windowMs } = batch === undefined || batch === 'off' ? {} : batch
  assertEach(COUNT, { workers, threads })
  assertEach(LIMIT, { maxQueued, maxQueuedPerCaller, 'batch.maxRows': maxRows, 'batch.maxTokens': maxTokens })
  assertEach(BYTES, { memoryBytes, maxQueuedBytes, maxQueuedBytesPerCaller })
  assertEach(MILLISECONDS, { minResidentMs, keepAliveMs, quarantineMs, 'batch.windowMs': windowMs })
  assertEach(HEAP, { heapMib })
}

function assertEach({ isMet, says }: Rule, values: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || (typeof value === 'number' && isMet(value))) continue
    throw new InvalidInputError(`${name} is ${says}, not ${String(value)}`, { input: String(value) })
  }
}
