import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { Icon } from '../../parts/icon.tsx'
import { worksOffline } from '../../state/offline.ts'
import { addGateway, gateways, removeGateway } from '../../state/sources.ts'
import { ThisServer } from './this-server.tsx'

/** Where models may come from: the server of this page, and what the user named. */
export function Sources(): JSX.Element {
  const text = useSignal('')
  const problem = useSignal<string | undefined>(undefined)
  const submit = (event: Event): void => {
    event.preventDefault()
    problem.value = addGateway(text.value)
    if (problem.value === undefined) text.value = ''
  }
  return (
    <section class="card stack" aria-labelledby="sources-title">
      <div>
        <h2 id="sources-title">Sources</h2>
        <p class="hint">All are asked at once and none is trusted: each byte is checked against the CID.</p>
      </div>
      <ul class="plain source-list">
        <ThisServer />
        {gateways.value.map((url) => (
          <li key={url} class="row spread">
            <div>
              <strong>Gateway</strong>
              <span class="hint wrap">{url}</span>
            </div>
            <span class="row">
              {worksOffline.value && <span class="chip quiet">off: you are working offline</span>}
              <button
                type="button"
                class="icon-button"
                aria-label={`Forget the gateway ${url}`}
                title="Forget"
                onClick={() => removeGateway(url)}
              >
                <Icon name="trash" />
              </button>
            </span>
          </li>
        ))}
      </ul>
      <form class="add-form" onSubmit={submit}>
        <label class="grow">
          <span class="sr-only">Address of a gateway</span>
          <input
            type="url"
            placeholder="https://gateway.example.org"
            autocomplete="off"
            required
            value={text.value}
            aria-invalid={problem.value !== undefined}
            aria-describedby="gateway-problem"
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit">
          <Icon name="plus" />
          Add a gateway
        </button>
      </form>
      <p id="gateway-problem" class="field-problem" role="alert">
        {problem.value}
      </p>
    </section>
  )
}
