import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { Icon } from '../../parts/icon.tsx'
import type { StoredModel } from '../../state/models.ts'
import { runState, startRun } from '../../state/run.ts'
import { takesChats } from '../../state/takes-chats.ts'
import { RunStatus } from './run-status.tsx'

interface Turn {
  role: 'user' | 'assistant'
  content: string
}

const MOST_TOKENS = 512

/** A conversation, as the model writes it. Models without a template for chats go on with the text instead. */
export function Chat({ model }: { model: StoredModel }): JSX.Element {
  const text = useSignal('')
  const turns = useSignal<readonly Turn[]>([])
  const coming = useSignal<string | undefined>(undefined)
  const send = async (event: Event): Promise<void> => {
    event.preventDefault()
    const content = text.value.trim()
    const before: readonly Turn[] = [...turns.value, { role: 'user', content }]
    turns.value = before
    text.value = ''
    coming.value = ''
    // A model without a template goes on with the text, and knows nothing of what came before.
    const input = (await takesChats(model.cid)) ? before : content
    const results = await startRun('text-generation', {
      model,
      inputs: [input],
      title: `Chat: “${content.slice(0, 60)}”`,
      options: { max_new_tokens: MOST_TOKENS },
      onText: (piece) => (coming.value = (coming.value ?? '') + piece),
    })
    const written = coming.value ?? ''
    // One that was stopped keeps what came; one that failed leaves the question to be asked again.
    if (results || written !== '') turns.value = [...before, { role: 'assistant', content: written }]
    else {
      turns.value = before.slice(0, -1)
      text.value = content
    }
    coming.value = undefined
  }
  return (
    <section class="card stack" aria-label="Chat">
      {(turns.value.length > 0 || coming.value !== undefined) && (
        <ol class="plain turns">
          {turns.value.map(({ role, content }, index) => (
            // They never move.
            <li key={index} class={role}>
              <span class="sr-only">{role === 'user' ? 'You: ' : 'The model: '}</span>
              {content}
            </li>
          ))}
          {coming.value !== undefined && (
            <li class="assistant" aria-live="polite" aria-busy="true">
              {coming.value === '' ? '…' : coming.value}
            </li>
          )}
        </ol>
      )}
      <form class="stack" onSubmit={(event) => void send(event)}>
        <label class="field">
          <span>Your message</span>
          <textarea
            value={text.value}
            rows={3}
            required
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <div class="row">
          <button
            type="submit"
            class="primary"
            disabled={text.value.trim() === '' || runState.value.kind === 'running'}
          >
            <Icon name="run" />
            Send
          </button>
          {turns.value.length > 0 && (
            <button type="button" onClick={() => (turns.value = [])}>
              Begin anew
            </button>
          )}
        </div>
      </form>
      <RunStatus />
    </section>
  )
}
