import type { JSX } from 'preact'

import { EmptyState } from '../../parts/empty-state.tsx'
import { hrefOf } from '../../state/route.ts'
import { runs } from '../../state/runs.ts'
import { RunCard } from './run-card.tsx'

export function ProvenanceScreen(): JSX.Element {
  return (
    <>
      <header class="screen-head">
        <div>
          <h1>Provenance</h1>
          <p class="lead">Which model made which output of which input. Kept until you close or reload this page.</p>
        </div>
      </header>
      {runs.value.length === 0 && (
        <EmptyState icon="provenance" title="No results yet">
          <p>
            Each result has a receipt: the CIDs of the model, its files, the input, the options and the output, and what
            computed it. Whoever has these can run the same again.
          </p>
          <a class="button primary" href={hrefOf('run')}>
            Run a model
          </a>
        </EmptyState>
      )}
      {runs.value.map((run) => (
        <RunCard key={run.id} run={run} />
      ))}
    </>
  )
}
