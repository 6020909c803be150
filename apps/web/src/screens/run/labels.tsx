import type { JSX } from 'preact'

export interface Labelled {
  label: string
  /** From 0 to 1. */
  score: number
}

/** What a model thinks it is, and how sure it is. */
export function Labels({ labels }: { labels: readonly Labelled[] }): JSX.Element {
  return (
    <section class="card stack" aria-labelledby="labels-title">
      <h2 id="labels-title">What the model makes of it</h2>
      <ol class="plain ranking">
        {labels.map(({ label, score }) => (
          <li key={label}>
            <p>{label}</p>
            <div class="score">
              <div class="score-bar" aria-hidden="true">
                <div style={{ width: `${score * 100}%` }} />
              </div>
              <span class="numbers">{(score * 100).toFixed(1)} %</span>
            </div>
          </li>
        ))}
      </ol>
    </section>
  )
}
