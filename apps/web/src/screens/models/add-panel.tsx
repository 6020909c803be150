import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { adviceFor } from '../../advice/advice.ts'
import { chosenFolder } from '../../folder/given-folder.ts'
import { Icon } from '../../parts/icon.tsx'
import { add, wanted } from '../../state/add-by-reference.ts'
import { addFolder } from '../../state/add-folder.ts'

export function AddPanel(): JSX.Element {
  const text = useSignal('')
  const problem = useSignal<string | undefined>(undefined)
  const submit = (event: Event): void => {
    event.preventDefault()
    try {
      add(wanted(text.value))
      text.value = ''
      problem.value = undefined
    } catch (error) {
      problem.value = adviceFor(error).detail
    }
  }
  return (
    <section class="card add-panel" aria-labelledby="add-title">
      <h2 id="add-title">Add a model</h2>
      <form class="add-form" onSubmit={submit}>
        <label class="grow">
          <span class="sr-only">CID or name of a model</span>
          <input
            type="text"
            name="reference"
            placeholder="ipfs://bafy…  or the name of a model"
            autocomplete="off"
            spellcheck={false}
            required
            value={text.value}
            aria-invalid={problem.value !== undefined}
            aria-describedby="add-problem"
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="primary">
          <Icon name="plus" />
          Add
        </button>
        <label class="button">
          <Icon name="folder" />
          Choose a folder
          <input
            type="file"
            class="sr-only"
            multiple
            ref={(input) => input?.setAttribute('webkitdirectory', '')}
            onChange={({ currentTarget }) => {
              const folder = chosenFolder(currentTarget.files ?? [])
              if (folder) addFolder(folder)
              currentTarget.value = ''
            }}
          />
        </label>
      </form>
      <p id="add-problem" class="field-problem" role="alert">
        {problem.value}
      </p>
    </section>
  )
}
