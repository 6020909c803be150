import { expect, it, onTestFinished, vi } from 'vitest'

import { adaptWindow, createSourceState, type SourceState } from '../src/source-state.ts'
import { memorySource } from './support.ts'

/** A source that brings so much in a second with so many requests. */
function sourceOf(speed: (window: number) => number): { state: SourceState; look: (most: number) => number } {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const state: SourceState = {
    ...createSourceState(memorySource('a', {})),
    meter: { add: () => undefined, bytesPerSecond: () => speed(state.window) },
  }
  const look = (most: number): number => {
    vi.advanceTimersByTime(1000)
    state.active = state.window
    adaptWindow(state, most)
    return state.window
  }
  return { state, look }
}

it('is asked for one request more as long as that brings more, up to the most', () => {
  const { look } = sourceOf((window) => window * 1000)
  expect([look(5), look(5), look(5), look(5), look(5)]).toEqual([3, 4, 5, 5, 5])
})

it('is asked for no more when one more brought nothing, and for no less', () => {
  const { look } = sourceOf((window) => Math.min(window, 3) * 1000)
  expect([look(9), look(9), look(9), look(9)]).toEqual([3, 4, 4, 4])
})

it('is asked for no more where fewer requests run than may', () => {
  const { state } = sourceOf((window) => window * 1000)
  vi.advanceTimersByTime(5000)
  state.active = 1
  adaptWindow(state, 9)
  expect(state.window).toBe(2)
})
