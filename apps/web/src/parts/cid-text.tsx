import type { JSX } from 'preact'

import { shortCid } from '../format/short-cid.ts'
import { CopyButton } from './copy-button.tsx'

/** A CID, shortened for the eye and whole for a screen reader, a tooltip and the clipboard. */
export function CidText({ cid, of }: { cid: string; of: string }): JSX.Element {
  return (
    <span class="cid">
      <code title={cid}>{shortCid(cid)}</code>
      <CopyButton text={cid} label={`Copy the CID of ${of}`} />
    </span>
  )
}
