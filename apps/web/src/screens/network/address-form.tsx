import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { Icon } from '../../parts/icon.tsx'

export interface AddressFormProps {
  /** `gateway`: what is added. */
  kind: string
  placeholder: string
  /** Returns why it cannot be one; `undefined`: it was added. */
  add: (text: string) => string | undefined
}

/** Names one more source. */
export function AddressForm({ kind, placeholder, add }: AddressFormProps): JSX.Element {
  const text = useSignal('')
  const problem = useSignal<string | undefined>(undefined)
  const submit = (event: Event): void => {
    event.preventDefault()
    problem.value = add(text.value)
    if (problem.value === undefined) text.value = ''
  }
  return (
    <>
      <form class="add-form" onSubmit={submit}>
        <label class="grow">
          <span class="sr-only">Address of a {kind}</span>
          <input
            type="text"
            inputMode="url"
            placeholder={placeholder}
            autocomplete="off"
            spellcheck={false}
            required
            value={text.value}
            aria-invalid={problem.value !== undefined}
            aria-describedby={`${kind}-problem`}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit">
          <Icon name="plus" />
          Add a {kind}
        </button>
      </form>
      <p id={`${kind}-problem`} class="field-problem" role="alert">
        {problem.value}
      </p>
    </>
  )
}
