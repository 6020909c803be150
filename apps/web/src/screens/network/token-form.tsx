import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { keepToken } from '../../state/server-access.ts'
import { askServer } from '../../state/server.ts'

/** Takes a token for the server of this page. */
export function TokenForm(): JSX.Element {
  const text = useSignal('')
  const problem = useSignal<string | undefined>(undefined)
  const submit = (event: Event): void => {
    event.preventDefault()
    problem.value = keepToken(text.value)
    if (problem.value !== undefined) return
    text.value = ''
    void askServer()
  }
  return (
    <>
      <form class="add-form" onSubmit={submit}>
        <label class="grow">
          <span>Token of this server</span>
          <input
            type="password"
            autocomplete="off"
            required
            value={text.value}
            aria-invalid={problem.value !== undefined}
            aria-describedby="token-hint token-problem"
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit">Use the token</button>
      </form>
      <p id="token-hint" class="hint">
        It goes to this server alone, and is forgotten when this tab is closed or loaded again.
      </p>
      <p id="token-problem" class="field-problem" role="alert">
        {problem.value}
      </p>
    </>
  )
}
