import { CID } from '@x/cid'
import { decodeReceipt, type RunName, type TaskName } from '@x/infer-core'
import type { TaskResult } from '@x/pipelines'

import type { SentResult } from './messages.ts'

export function sendResult({
  output,
  params,
  tokens,
  dtypeReason,
  startedAt,
  durationMs,
  blocks,
}: TaskResult<RunName>): SentResult {
  const sent = blocks.map(({ cid, bytes }) => ({ cid: cid.toString(), bytes }))
  return { output, params, tokens, dtypeReason, startedAt, durationMs, blocks: sent }
}

export function receiveResult<Name extends RunName = TaskName>(sent: SentResult): TaskResult<Name> {
  const blocks = sent.blocks.map(({ cid, bytes }) => ({ cid: CID.parse(cid), bytes }))
  const last = blocks.at(-1)
  if (last === undefined) throw new TypeError('a result without a receipt')
  const result: Omit<TaskResult<Name>, 'output'> & { output: unknown } = {
    output: sent.output,
    from: 'computed',
    vouchedBy: undefined,
    receipt: decodeReceipt(last.bytes),
    receiptCid: last.cid,
    params: sent.params,
    tokens: sent.tokens,
    dtypeReason: sent.dtypeReason,
    startedAt: sent.startedAt,
    durationMs: sent.durationMs,
    blocks,
  }
  // The worker held it against the task's own shape (`toOutput`), and has the same version of this package.
  return Object.assign(result)
}
