import type { JSX } from 'preact'

import { addGateway, addPeer, gateways, peers, removeGateway, removePeer } from '../../state/sources.ts'
import { AddressForm } from './address-form.tsx'
import { SourceRow } from './source-row.tsx'
import { ThisServer } from './this-server.tsx'

/** Where models may come from: the server of this page, and what the user named. */
export function Sources(): JSX.Element {
  return (
    <section class="card stack" aria-labelledby="sources-title">
      <div>
        <h2 id="sources-title">Sources</h2>
        <p class="hint">All are asked at once and none is trusted: each byte is checked against the CID.</p>
      </div>
      <ul class="plain source-list">
        <ThisServer />
        {gateways.value.map((url) => (
          <SourceRow key={url} kind="gateway" address={url} forget={removeGateway} />
        ))}
        {peers.value.map((address) => (
          <SourceRow key={address} kind="peer" address={address} forget={removePeer} />
        ))}
      </ul>
      <AddressForm kind="gateway" placeholder="https://gateway.example.org" add={addGateway} />
      <AddressForm kind="peer" placeholder="/dns4/peer.example.org/tcp/443/wss/p2p/12D3…" add={addPeer} />
    </section>
  )
}
