// Our server as `serve --model` starts it, with a folder where results are kept. Each number of clients has a server and a folder of
// its own, so that all texts are new.
import { join } from 'node:path'

import { runJob } from '../harness/job.ts'
import type { JobResult } from '../harness/types.ts'
import { readInputs } from '../infer/inputs.ts'
import { measureServer, type AskedOfServer } from './clients.ts'
import { ourServer, type OurServer } from './our-server.ts'

await runJob<AskedOfServer & OurServer & { output: string }>(async (asked) => {
  const inputs = readInputs(asked.inputs)
  let all: JobResult = { evidence: {} }
  for (const phase of asked.phases) {
    const command = ourServer({ ...asked, results: join(asked.output, String(phase.callers)) })
    const one = await measureServer(command, inputs, { ...asked, phases: [phase], must: 'be-same', from: 'computed' })
    all = {
      evidence: { ...all.evidence, ...one.evidence },
      seconds: (all.seconds ?? 0) + (one.seconds ?? 0),
      figures: { ...all.figures, ...one.figures },
    }
  }
  return all
})
