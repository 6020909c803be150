import type { JSX } from 'preact'

import { Icon } from '../../parts/icon.tsx'
import { worksOffline } from '../../state/offline.ts'

export interface SourceRowProps {
  /** `gateway`: of what kind it is. */
  kind: string
  address: string
  forget: (address: string) => void
}

/** One that the user named. */
export function SourceRow({ kind, address, forget }: SourceRowProps): JSX.Element {
  return (
    <li class="row spread">
      <div>
        <strong>{kind[0]?.toUpperCase() + kind.slice(1)}</strong>
        <span class="hint wrap">{address}</span>
      </div>
      <span class="row">
        {worksOffline.value && <span class="chip quiet">off: you are working offline</span>}
        <button
          type="button"
          class="icon-button"
          aria-label={`Forget the ${kind} ${address}`}
          title="Forget"
          onClick={() => forget(address)}
        >
          <Icon name="trash" />
        </button>
      </span>
    </li>
  )
}
