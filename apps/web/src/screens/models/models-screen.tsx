import type { JSX } from 'preact'

import { EmptyState } from '../../parts/empty-state.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import { RoomGauge } from '../../parts/room-gauge.tsx'
import { additions, type Addition } from '../../state/additions.ts'
import { models, modelsProblem } from '../../state/models.ts'
import { AddPanel } from './add-panel.tsx'
import { AdditionRow } from './addition-row.tsx'
import { ModelCard } from './model-card.tsx'
import { ServedModels } from './served-models.tsx'

export function ModelsScreen(): JSX.Element {
  const stored = models.value
  // What was added and removed since is there no more, wherever that was done.
  const isShown = ({ outcome }: Addition): boolean =>
    outcome?.kind !== 'added' || !stored || stored.some(({ cid }) => cid === outcome.cid)
  const shown = additions.value.filter(isShown)
  return (
    <>
      <header class="screen-head">
        <div>
          <h1>Models</h1>
          <p class="lead">Kept on this device, addressed by their content, every byte verified.</p>
        </div>
        <RoomGauge />
      </header>
      <AddPanel />
      {shown.length > 0 && (
        <section class="stack" aria-label="Being added">
          {shown.map((addition) => (
            <AdditionRow key={addition.id} addition={addition} />
          ))}
        </section>
      )}
      <ServedModels />
      {modelsProblem.value !== undefined && <ErrorNotice error={modelsProblem.value} />}
      {stored && stored.length > 0 && (
        <section class="stack" aria-labelledby="stored-title">
          <h2 id="stored-title">On this device</h2>
          {stored.map((model) => (
            <ModelCard key={model.cid} model={model} />
          ))}
        </section>
      )}
      {stored?.length === 0 && shown.length === 0 && (
        <EmptyState icon="models" title="Add your first model">
          <p>
            Take one that this server offers, give the CID of any other, or drop a folder with a model's files anywhere
            on this page. What you add stays on this device and works without a network.
          </p>
        </EmptyState>
      )}
    </>
  )
}
