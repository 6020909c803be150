import { setTimeout } from 'node:timers/promises'

import { openFsStore } from '@x/backend-fs'
import { createEngine, type Engine } from '@x/infer-node'
import { openModel } from '@x/model-loader'

// Runs a stored graph over and over, and in the middle of it closes the engine so many times, or exits, or exits while it is being
// closed: `DIRECTORY CID close|exit|exit-in-close PROVIDER`.
const [directory = '', reference = '', how, provider = ''] = process.argv.slice(2)
const store = await openFsStore({ directory })
const model = await openModel(store, reference)
const rows = 512

/** An engine that is in the middle of a run after so many, and how each that was asked for ends. */
async function begin(count: number): Promise<{ engine: Engine; told: Promise<PromiseSettledResult<unknown>[]> }> {
  const engine = createEngine({ threads: 1, providers: [provider] })
  const session = await engine.session(model)
  const width = Number(session.inputs[0]?.shape[1])
  const ask = (): Promise<unknown> =>
    session.run({ x: { type: 'float32', dims: [rows, width], data: new Float32Array(rows * width) } })
  await ask()
  // More than a thread does while a busy machine lets this one stand still.
  const asked = Array.from({ length: 64 }, ask)
  const told = Promise.allSettled(asked)
  await asked[count]
  // By then the thread has begun the next one.
  await setTimeout(10)
  return { engine, told }
}

for (let round = 0; round < 3; round++) {
  const { engine, told } = await begin(round)
  if (how === 'exit') process.exit(7)
  const closing = engine.close({ drain: false })
  if (how === 'exit-in-close') process.exit(7)
  await closing
  const codes = (await told).map((one) => (one.status === 'rejected' ? one.reason.code : 'ANSWERED'))
  process.stdout.write(`${codes.filter((code) => code === 'BACKEND').length > 0} `)
}
await store.close()
process.stdout.write('closed')
