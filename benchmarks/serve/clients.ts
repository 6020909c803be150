import { Pool } from 'undici'

import type { JobResult } from '../harness/types.ts'
import { measureCallers, memoryOf, type Phase } from '../infer/callers.ts'
import type { Inputs, Must } from '../infer/inputs.ts'
import { processorTimeOf, startServerProcess } from './server-process.ts'

/** What all contenders are told. */
export interface AskedOfServer {
  /** A file. */
  inputs: string
  phases: readonly Phase[]
}

export type Ask = (text: string) => Promise<Float32Array>

/** Starts a server, asks it from this process, and stops it. */
export async function measureServer(
  command: readonly string[],
  inputs: Inputs,
  asked: AskedOfServer & { check: boolean; must: Must; from?: 'computed' },
): Promise<JobResult> {
  const server = await startServerProcess(command)
  try {
    return await measurePhases(inputs, { ...asked, pid: server.pid }, (phase) =>
      openClients(server.url, phase.callers, asked),
    )
  } finally {
    await server.stop()
  }
}

interface Clients {
  ask: Ask
  close: () => Promise<void>
}

/**
 * So many connections, kept alive.
 *
 * @param must.from - What each answer says of where it is from. Default: whatever it says.
 */
export function openClients(url: string, connections: number, { from }: { from?: 'computed' } = {}): Clients {
  const pool = new Pool(url, { connections, pipelining: 1 })
  return {
    async ask(text) {
      const { statusCode, headers, body } = await pool.request({
        path: '/v1/embeddings',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input: text, encoding_format: 'base64' }),
      })
      const answer = await body.text()
      if (statusCode !== 200) throw new Error(`${statusCode}: ${answer}`)
      const said = headers['x-ipfs-accelerate-from']
      if (from !== undefined && said !== from) throw new Error(`an answer is ${String(said)}, not ${from}`)
      return vectorOf(JSON.parse(answer))
    },
    close: () => pool.close(),
  }
}

function vectorOf(answer: { data: readonly { embedding: string }[] }): Float32Array {
  const [first] = answer.data
  if (!first) throw new Error('there is no vector')
  const bytes = Buffer.from(first.embedding, 'base64')
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

/**
 * One phase after another, each with clients of its own, after as many texts that are not counted, and are none of those that are.
 *
 * @param asked.pid - Of the process that answers.
 */
export async function measurePhases(
  inputs: Inputs,
  { phases, check, must, pid }: { phases: readonly Phase[]; check: boolean; must: Must; pid: number },
  open: (phase: Phase) => Clients,
): Promise<JobResult> {
  const figures: Record<string, number> = {}
  let evidence = {}
  let seconds = 0
  for (const phase of phases) {
    const { ask, close } = open(phase)
    await Promise.all(inputs.texts.slice(0, phase.callers).map((text) => ask(backwards(text))))
    let answers = 0
    const before = processorTimeOf(pid)
    const result = await measureCallers(
      inputs,
      { phases: [phase], check },
      async (text) => {
        answers += 1
        return ask(text)
      },
      { must },
    )
    const after = processorTimeOf(pid)
    await close()
    Object.assign(figures, result.figures, {
      [`${phase.callers} mainCpu`]: (after.main - before.main) / answers,
      [`${phase.callers} allCpu`]: (after.all - before.all) / answers,
    })
    seconds += result.seconds ?? 0
    evidence = { ...evidence, ...result.evidence }
  }
  return { seconds, evidence, figures: { ...figures, privateMB: memoryOf(pid).privateMB } }
}

/** As long, and another one. */
const backwards = (text: string): string => text.split(' ').toReversed().join(' ')
