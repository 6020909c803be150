import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { Switch } from '../../parts/switch.tsx'
import { hub, setHub } from '../../state/hub.ts'
import { worksOffline } from '../../state/offline.ts'

/** Whether a hub is asked for models by name, and which. */
export function Hub(): JSX.Element {
  const problem = useSignal<string | undefined>(undefined)
  const { endpoint, isAsked } = hub.value
  return (
    <section class="card stack" aria-label="Models by name">
      <Switch
        checked={isAsked}
        label="Ask a hub for models by name"
        hint="It sees what you ask for. Each file is checked by the hash that the hub lists, and has its CID from then on."
        onChange={(checked) => (hub.value = { ...hub.value, isAsked: checked })}
      />
      {isAsked && (
        <>
          <label class="field">
            <span>Address of the hub</span>
            <input
              type="url"
              autocomplete="off"
              required
              value={endpoint}
              aria-invalid={problem.value !== undefined}
              aria-describedby="hub-problem"
              onChange={({ currentTarget }) => (problem.value = setHub(currentTarget.value))}
            />
          </label>
          {worksOffline.value && <span class="chip quiet fit">off: you are working offline</span>}
        </>
      )}
      <p id="hub-problem" class="field-problem" role="alert">
        {problem.value}
      </p>
    </section>
  )
}
