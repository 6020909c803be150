import { receiptToJson } from '@x/infer-core'
import type { JSX } from 'preact'

import { CopyButton } from '../../parts/copy-button.tsx'
import type { KeptRun } from '../../state/runs.ts'

/** Receipts as they are written down: one, or a list. */
export function ReceiptsText({ receipts }: Pick<KeptRun, 'receipts'>): JSX.Element {
  const records = receipts.map(({ receipt, receiptCid }) => receiptToJson(receipt, receiptCid))
  const text = JSON.stringify(records.length === 1 ? records[0] : records, undefined, 2)
  return (
    <div class="receipt">
      <CopyButton text={text} label="Copy as JSON" />
      {/* It scrolls, so the keyboard has to reach it. */}
      <pre tabIndex={0} role="region" aria-label="Receipts as JSON">
        {text}
      </pre>
    </div>
  )
}
