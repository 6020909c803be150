import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { count } from '../../format/count.ts'
import { formatBytes } from '../../format/format-bytes.ts'
import { shell, type ShellState } from '../../offline/install-shell.ts'
import { Fact } from '../../parts/fact.tsx'
import { RoomGauge } from '../../parts/room-gauge.tsx'
import { models } from '../../state/models.ts'
import { askToPersist, room, roomProblem } from '../../state/room.ts'

const SHELL_TEXT: Record<Exclude<ShellState['kind'], 'none'>, string> = {
  installing: 'its files are being fetched and verified',
  ready: 'all of its files are kept here, each checked by its SHA-256',
  update: 'all of its files are kept here; a newer version is ready',
}

const persistedText = (persisted: boolean | undefined): string => {
  if (persisted === undefined) return 'asking the browser…'
  return persisted
    ? 'the browser makes no room with what is stored here, pinned or not'
    : 'the browser may clear it all away when the disk is full, pinned or not'
}

/** What is on this device: the page itself, the models, and whether the browser keeps them. */
export function KeptFacts(): JSX.Element {
  const refused = useSignal(false)
  const stored = models.value ?? []
  const size = stored.reduce((sum, model) => sum + model.size, 0)
  const persisted = room.value?.persisted === true
  return (
    <section class="card stack" aria-labelledby="kept-title">
      <div class="row spread wide-gap">
        <h2 id="kept-title">Kept on this device</h2>
        <RoomGauge />
      </div>
      <ul class="plain facts-list">
        <Fact
          good={shell.value.kind === 'ready' || shell.value.kind === 'update'}
          title="The page opens without a network"
        >
          {shell.value.kind === 'none' ? shell.value.reason : SHELL_TEXT[shell.value.kind]}
        </Fact>
        <Fact good={stored.length > 0} title="Models">
          {stored.length === 0 ? 'none yet' : `${count(stored.length, 'model')}, ${formatBytes(size)}`}
        </Fact>
        <Fact good={persisted} title={persisted ? 'Kept until you remove it' : 'Not sure to be kept'}>
          {roomProblem.value === undefined ? (
            persistedText(room.value?.persisted)
          ) : (
            <span role="status">{`not known: ${roomProblem.value}`}</span>
          )}
          {!persisted && (
            <button type="button" onClick={() => void askToPersist().then((granted) => (refused.value = !granted))}>
              Ask the browser to keep it
            </button>
          )}
          <span role="status">
            {refused.value && ' It said no for now. It tends to agree once the page is installed or used more often.'}
          </span>
        </Fact>
      </ul>
    </section>
  )
}
