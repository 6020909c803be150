// What a server holds while many connections are open: idle ones, and ones that ask.
import type { Socket } from 'node:net'

import { runJob } from '../harness/job.ts'
import { memoryOf } from '../infer/callers.ts'
import { createProof, readInputs, type Inputs } from '../infer/inputs.ts'
import { openClients, type Ask } from './clients.ts'
import { openIdle, openOf, socketsOf, untilSockets } from './idle.ts'
import { ourServer, type OurServer } from './our-server.ts'
import { startServerProcess } from './server-process.ts'

const WARM_CLIENTS = 64

await runJob<OurServer & { inputs: string; idle: number; busy: number }>(async (asked) => {
  const inputs = readInputs(asked.inputs)
  const server = await startServerProcess(ourServer(asked))
  const heldMB = (): number => memoryOf(server.pid).privateMB
  try {
    const proof = createProof(inputs, 'answer', 'be-same')
    /** All texts by so many clients. @returns What the server held when half of them were answered. */
    const askAll = async (clients: number): Promise<{ halfMB: number; open: number }> => {
      const { ask, close } = openClients(server.url, clients)
      let half: { halfMB: number; open: number } | undefined
      await inLanes(inputs, clients, ask, (index, vector, answered) => {
        if (answered * 2 >= inputs.texts.length) half ??= { halfMB: heldMB(), open: openOf(idle) }
        proof.take(index, vector)
      })
      await close()
      if (half === undefined) throw new Error('there is no text')
      return half
    }
    let idle: readonly Socket[] = []
    const none = socketsOf(server.pid)
    await askAll(WARM_CLIENTS)
    const beforeMB = heldMB()
    idle = await openIdle(server.url, asked.idle)
    const idleMB = heldMB()
    const { halfMB: busyMB, open } = await askAll(asked.busy)
    for (const socket of idle) socket.destroy()
    await untilSockets(server.pid, none)
    const afterMB = heldMB()
    return {
      evidence: proof.evidence(),
      figures: { beforeMB, idleMB, busyMB, open, afterMB, moreMB: Math.max(idleMB, busyMB) - beforeMB },
    }
  } finally {
    await server.stop()
  }
})

async function inLanes(
  { texts }: Inputs,
  clients: number,
  ask: Ask,
  onAnswer: (index: number, vector: Float32Array, answered: number) => void,
): Promise<void> {
  const entries = texts.entries()
  let answered = 0
  await Promise.all(
    Array.from({ length: clients }, async () => {
      for (const [index, text] of entries) {
        const vector = await ask(text)
        answered += 1
        onAnswer(index, vector, answered)
      }
    }),
  )
}
