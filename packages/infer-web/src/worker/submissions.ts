import type { WatchedGpu } from './gpu.ts'

/** How often work was submitted, since the worker began, to what an execution provider computes on. */
export interface Submissions {
  /** Takes count from now on; the function it gives says whether nothing was submitted since. */
  since(executionProvider: string): () => boolean
}

/** A processor computes whatever it is given, and is not counted. */
export function countSubmissions(gpu: WatchedGpu): Submissions {
  const counts = new Map([
    ['webgpu', () => gpu.submissions()],
    ['webnn', countDispatches()],
  ])
  return {
    since(executionProvider) {
      const count = counts.get(executionProvider)
      const before = count?.()
      return () => count !== undefined && count() === before
    },
  }
}

/** What has no `MLContext` dispatches nothing. */
function countDispatches(): () => number {
  let dispatched = 0
  const context: unknown = Reflect.get(globalThis, 'MLContext')
  const contexts: unknown = typeof context === 'function' ? context.prototype : undefined
  if (typeof contexts === 'object' && contexts !== null) {
    const dispatch: unknown = Reflect.get(contexts, 'dispatch')
    if (typeof dispatch !== 'function') throw new TypeError('a WebNN without dispatch')
    Reflect.set(contexts, 'dispatch', function counted(this: unknown, ...args: unknown[]): unknown {
      dispatched += 1
      return Reflect.apply(dispatch, this, args)
    })
  }
  return () => dispatched
}

/** The device, as errors name it. */
export const deviceOf = (executionProvider: string): string => (executionProvider === 'webgpu' ? 'the GPU' : 'WebNN')
