import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { formatBytes } from '../../format/format-bytes.ts'
import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import { Progress } from '../../parts/progress.tsx'
import { damaged } from '../../state/damaged.ts'
import { verifyModel } from '../../state/model-actions.ts'

type Check =
  | { kind: 'stored' }
  | { kind: 'checking'; checked: number }
  | { kind: 'good'; checked: number }
  | { kind: 'failed'; error: unknown }

/** Whether the bytes are those of the CID: they were when they were stored, and may be hashed again. */
export function VerifyLine({ cid, size }: { cid: string; size: number }): JSX.Element {
  const check = useSignal<Check>({ kind: 'stored' })
  const run = async (): Promise<void> => {
    check.value = { kind: 'checking', checked: 0 }
    try {
      const checked = await verifyModel(cid, (bytes) => (check.value = { kind: 'checking', checked: bytes }))
      check.value = { kind: 'good', checked }
    } catch (error) {
      check.value = { kind: 'failed', error }
    }
  }
  const { value } = check
  const what = damaged.value[cid]
  return (
    <div class="verify">
      {what !== undefined && <Damaged what={what} />}
      {what === undefined && value.kind === 'failed' && <ErrorNotice error={value.error} />}
      {what === undefined && value.kind !== 'failed' && (
        <p class="good-text" role="status">
          <Icon name="provenance" />
          {value.kind === 'good'
            ? `Verified again just now: ${formatBytes(value.checked)} hashed, all as the CID says`
            : 'Verified, leaf by leaf, when it was stored'}
        </p>
      )}
      {value.kind === 'checking' ? (
        <Progress label="Verifying" value={value.checked} max={size} />
      ) : (
        <button type="button" onClick={() => void run()}>
          Verify again
        </button>
      )}
    </div>
  )
}

function Damaged({ what }: { what: string }): JSX.Element {
  return (
    <div class="notice error" role="alert">
      <Icon name="warning" />
      <div>
        <strong>Bytes of this model are no longer what was stored</strong>
        <p>It is not run. Remove it and add it again.</p>
        <p class="detail">{what}</p>
      </div>
    </div>
  )
}
