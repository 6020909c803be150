import { CID } from '@x/cid'
import type { JSX } from 'preact'

import { markOf } from '../format/mark-of.ts'

/** A small picture of a CID: the same content has the same one everywhere. */
export function CidMark({ cid }: { cid: string }): JSX.Element {
  const { hue, cells } = markOf(CID.parse(cid).multihash.digest)
  return (
    <svg class="mark" viewBox="-0.75 -0.75 6.5 6.5" aria-hidden="true" style={{ '--hue': hue }}>
      {cells.map(([x, y]) => (
        <rect key={`${x} ${y}`} x={x} y={y} width="1.02" height="1.02" />
      ))}
    </svg>
  )
}
