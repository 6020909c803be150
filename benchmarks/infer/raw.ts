// The limit: ONNX Runtime alone, batches of equal rows, nothing tokenized and nothing pooled.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { InferenceSession, Tensor } from 'onnxruntime-node'

import { runJob } from '../harness/job.ts'

await runJob<{ models: string; tokens: number; rows: number; count: number }>(
  async ({ models, tokens, rows, count }) => {
    const session = await InferenceSession.create(await readFile(join(models, 'minilm', 'onnx', 'model.onnx')))
    const size = rows * tokens
    const of = (fill: (index: number) => bigint): Tensor =>
      new Tensor(
        'int64',
        BigInt64Array.from({ length: size }, (_, index) => fill(index)),
        [rows, tokens],
      )
    const feeds = {
      input_ids: of((index) => BigInt(5 + ((index * 7) % 8))),
      attention_mask: of(() => 1n),
      token_type_ids: of(() => 0n),
    }
    await session.run(feeds)
    const start = performance.now()
    const runs = Math.ceil(count / rows)
    for (let run = 0; run < runs; run++) await session.run(feeds)
    const seconds = ((performance.now() - start) / 1000) * (count / (runs * rows))
    return { seconds, evidence: {}, figures: { perSecond: count / seconds } }
  },
)
