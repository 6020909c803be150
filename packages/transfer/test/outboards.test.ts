import { encodeOutboard } from '@x/cid'
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'

import type { ByteSource } from '../src/index.ts'
import { findOutboard } from '../src/outboards.ts'
import { createSourceState } from '../src/source-state.ts'
import { memorySource, MIB, outboardOf, someBytes } from './support.ts'

beforeEach(() => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
})

const bytes = someBytes(2 * MIB)

/** Nodes come one by one, one each so often of the timers that the test moves. */
async function nodesEvery(ms: number, outboard: Awaited<ReturnType<typeof outboardOf>>): Promise<ByteSource> {
  return {
    ...memorySource('slow', {}),
    outboard: async (_file, { onPart }) => {
      for (let node = 0; node < 10; node++) {
        // No time passes: the test moves the timers.
        await new Promise((resolve) => setTimeout(resolve, ms))
        onPart?.()
      }
      return encodeOutboard(outboard)
    },
  }
}

it.each([
  [60, true],
  [110, false],
])('an outboard whose nodes come every %d ms is waited for, where 100 may pass: %s', async (ms, isFound) => {
  const outboard = await outboardOf(bytes)
  const failures: unknown[] = []
  const finding = findOutboard(
    { path: 'model', size: bytes.length, root: outboard.root },
    [createSourceState(await nodesEvery(ms, outboard))],
    {
      signal: new AbortController().signal,
      stallTimeoutMs: 100,
      onLiar: (_state, error) => failures.push(error),
      onFailure: (_state, error) => failures.push(error),
    },
  )
  await vi.advanceTimersByTimeAsync(2000)
  const found = await finding
  expect(found?.root.toString()).toBe(isFound ? outboard.root.toString() : undefined)
  expect(failures.length).toBe(isFound ? 0 : 1)
})
