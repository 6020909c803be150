import type { JSX } from 'preact'

import { formatBytes } from '../format/format-bytes.ts'
import { room } from '../state/room.ts'

/** How much of the room that the browser gives is used. */
export function RoomGauge(): JSX.Element | null {
  if (!room.value) return null
  const { used, quota } = room.value
  const share = quota === 0 ? 0 : Math.min(1, used / quota)
  return (
    <div class="gauge">
      <div class="gauge-text">
        <span>Storage</span>
        <span>
          <strong>{formatBytes(used)}</strong> of {formatBytes(quota)}
        </span>
      </div>
      <meter class="sr-only" aria-label="Storage used" min={0} max={quota} value={used} />
      <div class={share > 0.9 ? 'gauge-bar full' : 'gauge-bar'} aria-hidden="true">
        <div style={{ width: `${Math.max(share * 100, used > 0 ? 0.8 : 0)}%` }} />
      </div>
    </div>
  )
}
