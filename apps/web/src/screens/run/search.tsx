import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { count } from '../../format/count.ts'
import { Icon } from '../../parts/icon.tsx'
import type { StoredModel } from '../../state/models.ts'
import { runState, startRun } from '../../state/run.ts'
import { rank, textsIn, type Ranked } from '../../state/search.ts'
import { RunStatus } from './run-status.tsx'

const EXAMPLE = {
  texts: [
    'Our refund policy: we return what you paid within thirty days.',
    'The museum opens at nine, and on Sundays at eleven.',
    'To reset your password, follow the link in the message.',
    'A lighthouse keeper counts the ships that pass at night.',
    'Water boils at a lower temperature in the mountains.',
  ].join('\n'),
  query: 'How do I get my money back?',
} as const

/** Vectors of texts that were embedded before, by model and text, so that another question asks for one vector alone. */
const embedded = new Map<string, ArrayLike<number>>()

/** The user's own texts, by how near in meaning they are to a question. */
export function Search({ model }: { model: StoredModel }): JSX.Element {
  const text = useSignal('')
  const query = useSignal('')
  const ranking = useSignal<readonly Ranked[] | undefined>(undefined)
  const texts = textsIn(text.value)
  const search = async (event: Event): Promise<void> => {
    event.preventDefault()
    ranking.value = undefined
    const asked = query.value.trim()
    const keyOf = (one: string): string => `${model.cid} ${one}`
    const missing = [...new Set([asked, ...texts])].filter((one) => !embedded.has(keyOf(one)))
    // The question runs anew each time, so that each search has a receipt.
    const wanted = missing.includes(asked) ? missing : [asked, ...missing]
    const results = await startRun('feature-extraction', { model, inputs: wanted, title: `Search for “${asked}”` })
    if (!results) return
    for (const [index, one] of wanted.entries()) {
      const vector = results[index]?.output.data
      if (vector instanceof Float32Array) embedded.set(keyOf(one), vector)
    }
    const vectorFor = (one: string): ArrayLike<number> => embedded.get(keyOf(one)) ?? []
    ranking.value = rank(texts, texts.map(vectorFor), vectorFor(asked))
  }
  return (
    <>
      <form class="card stack" onSubmit={(event) => void search(event)}>
        <label class="field">
          <span>Your texts</span>
          <textarea
            value={text.value}
            rows={6}
            placeholder="One on each line, or paragraphs with empty lines between them"
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <div class="row spread">
          <span class="hint">{texts.length === 0 ? 'No text yet' : count(texts.length, 'text')}</span>
          <button
            type="button"
            onClick={() => {
              text.value = EXAMPLE.texts
              query.value = EXAMPLE.query
            }}
          >
            Use an example
          </button>
        </div>
        <div class="add-form">
          <label class="field grow">
            <span>What are you looking for?</span>
            <input
              type="text"
              value={query.value}
              required
              placeholder="In your own words; the texts need not have the same"
              onInput={(event) => (query.value = event.currentTarget.value)}
            />
          </label>
          <button
            type="submit"
            class="primary at-end"
            disabled={texts.length === 0 || query.value.trim() === '' || runState.value.kind === 'running'}
          >
            <Icon name="run" />
            Search
          </button>
        </div>
        <RunStatus />
      </form>
      {ranking.value && (
        <section class="card stack" aria-labelledby="ranking-title">
          <h2 id="ranking-title">Nearest in meaning</h2>
          <ol class="plain ranking">
            {ranking.value.map((ranked) => (
              <li key={ranked.text}>
                <p>{ranked.text}</p>
                <div class="score">
                  <div class="score-bar" aria-hidden="true">
                    <div style={{ width: `${Math.max(0, ranked.score) * 100}%` }} />
                  </div>
                  <span class="numbers">{ranked.score.toFixed(3)}</span>
                </div>
              </li>
            ))}
          </ol>
        </section>
      )}
    </>
  )
}
