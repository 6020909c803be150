import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

import type { JobResult } from '../harness/types.ts'

/** So many callers, each of which asks for its next text when it has its answer. */
export async function measureCallers(
  texts: readonly string[],
  callers: number,
  ask: (text: string) => Promise<Float32Array>,
): Promise<JobResult> {
  const delays: number[] = []
  const proof: string[] = []
  const loop = monitorEventLoopDelay({ resolution: 1 })
  loop.enable()
  const start = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: callers }, async () => {
      for (let index = next++; index < texts.length; index = next++) {
        const asked = performance.now()
        const vector = await ask(texts[index] ?? '')
        delays.push(performance.now() - asked)
        // Some of them: to hash each would be work of its own.
        if (index % 50 === 0) proof[index] = digestOf(vector)
      }
    }),
  )
  const seconds = (performance.now() - start) / 1000
  loop.disable()
  delays.sort((a, b) => a - b)
  const at = (share: number): number => (delays[Math.floor(delays.length * share)] ?? 0) / 1000
  const [, kilobytes] = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return {
    seconds,
    evidence: { answers: createHash('sha256').update(Object.values(proof).join()).digest('hex') },
    figures: {
      perSecond: texts.length / seconds,
      p50: at(0.5),
      p99: at(0.99),
      loopP99: loop.percentile(99) / 1e9,
      privateMB: Number(kilobytes) / 1000,
    },
  }
}

const digestOf = (vector: Float32Array): string =>
  createHash('sha256')
    .update(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength))
    .digest('hex')
