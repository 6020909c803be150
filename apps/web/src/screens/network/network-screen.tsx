import type { JSX } from 'preact'

import { DeviceFacts } from './device-facts.tsx'
import { Hub } from './hub.tsx'
import { KeptFacts } from './kept-facts.tsx'
import { OfflineSwitch } from './offline-switch.tsx'
import { Sources } from './sources.tsx'

export function NetworkScreen(): JSX.Element {
  return (
    <>
      <header class="screen-head">
        <div>
          <h1>Network</h1>
          <p class="lead">Who is asked, what is kept here, and what this browser can do.</p>
        </div>
      </header>
      <OfflineSwitch />
      <Sources />
      <Hub />
      <KeptFacts />
      <DeviceFacts />
    </>
  )
}
