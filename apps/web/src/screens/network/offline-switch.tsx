import type { JSX } from 'preact'

import { Switch } from '../../parts/switch.tsx'
import { worksOffline } from '../../state/offline.ts'
import { askServer } from '../../state/server.ts'

export function OfflineSwitch(): JSX.Element {
  return (
    <section class="card" aria-label="Working offline">
      <Switch
        checked={worksOffline.value}
        label="Work offline"
        hint="No source is asked. Models that are on this device go on working."
        onChange={(checked) => {
          worksOffline.value = checked
          void askServer()
        }}
      />
    </section>
  )
}
