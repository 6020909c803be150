import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useRef } from 'preact/hooks'

import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import type { StoredModel } from '../../state/models.ts'
import { clearRun, runState, startRun } from '../../state/run.ts'
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
  const problem = useSignal<unknown>(undefined)
  /** Which conversation it is: what comes for one that was left is not put into the next. */
  const conversation = useRef(0)
  const beginAnew = (): void => {
    conversation.current += 1
    clearRun()
    turns.value = []
    coming.value = undefined
    problem.value = undefined
  }
  const answerTo = (input: string | readonly Turn[], content: string) =>
    startRun('text-generation', {
      model,
      inputs: [input],
      title: `Chat: “${content.slice(0, 60)}”`,
      options: { max_new_tokens: MOST_TOKENS },
      onText: (piece) => (coming.value = (coming.value ?? '') + piece),
      onRestart: () => (coming.value = ''),
    })
  const send = async (event: Event): Promise<void> => {
    event.preventDefault()
    const content = text.value.trim()
    const before: readonly Turn[] = [...turns.value, { role: 'user', content }]
    const mine = conversation.current
    problem.value = undefined
    turns.value = before
    text.value = ''
    coming.value = ''
    // A model without a template goes on with the text, and knows nothing of what came before.
    const input = await takesChats(model.cid).then(
      (takes) => (takes ? before : content),
      (error: unknown) => {
        problem.value = error
        return undefined
      },
    )
    if (conversation.current !== mine) return
    const results = input && (await answerTo(input, content))
    if (conversation.current !== mine) return
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
          {coming.value !== undefined && <li class="assistant">{coming.value === '' ? '…' : coming.value}</li>}
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
            <button type="button" onClick={beginAnew}>
              Begin anew
            </button>
          )}
        </div>
      </form>
      {problem.value !== undefined && <ErrorNotice error={problem.value} />}
      {/* Whole, once: a text that grows would be read from its beginning again and again. */}
      <p class="sr-only" role="status">
        {coming.value === undefined &&
          turns.value.at(-1)?.role === 'assistant' &&
          `The model: ${turns.value.at(-1)?.content}`}
      </p>
      <RunStatus />
    </section>
  )
}
