import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { formatBytes } from '../../format/format-bytes.ts'
import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import { Progress } from '../../parts/progress.tsx'
import { verifyModel } from '../../state/model-actions.ts'

type Check =
  | { kind: 'stored' }
  | { kind: 'checking'; checked: number }
  | { kind: 'good'; checked: number }
  | { kind: 'bad'; error: unknown }

/** Whether the bytes are those of the CID: they were when they were stored, and may be hashed again. */
export function VerifyLine({ cid, size }: { cid: string; size: number }): JSX.Element {
  const check = useSignal<Check>({ kind: 'stored' })
  const run = async (): Promise<void> => {
    check.value = { kind: 'checking', checked: 0 }
    try {
      const checked = await verifyModel(cid, (bytes) => (check.value = { kind: 'checking', checked: bytes }))
      check.value = { kind: 'good', checked }
    } catch (error) {
      check.value = { kind: 'bad', error }
    }
  }
  const { value } = check
  if (value.kind === 'bad') return <ErrorNotice error={value.error} />
  return (
    <div class="verify">
      <p class="good-text" role="status">
        <Icon name="provenance" />
        {value.kind === 'good'
          ? `Verified again just now: ${formatBytes(value.checked)} hashed, all as the CID says`
          : 'Verified, leaf by leaf, when it was stored'}
      </p>
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
