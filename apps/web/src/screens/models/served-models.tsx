import { CID } from '@x/cid'
import type { JSX } from 'preact'

import { taskTitle } from '../../format/task-title.ts'
import { CidMark } from '../../parts/cid-mark.tsx'
import { CidText } from '../../parts/cid-text.tsx'
import { Icon } from '../../parts/icon.tsx'
import { addByReference } from '../../state/add-by-reference.ts'
import { additions } from '../../state/additions.ts'
import { models } from '../../state/models.ts'
import { server } from '../../state/server.ts'

/** What the host of this page serves and this device does not have yet. */
export function ServedModels(): JSX.Element | null {
  if (server.value.kind !== 'there' || !models.value) return null
  const held = new Set(models.value.map(({ cid }) => cid))
  const coming = new Set(additions.value.filter(({ outcome }) => !outcome).map(({ title }) => title))
  const offered = server.value.models.filter(({ cid, name }) => !held.has(cid) && !coming.has(name))
  if (offered.length === 0) return null
  return (
    <section class="stack" aria-labelledby="served-title">
      <h2 id="served-title">On this server</h2>
      {offered.map(({ cid, name, tasks }) => (
        <article key={cid} class="card model-row">
          <CidMark cid={cid} />
          <div class="grow">
            <h3>{name}</h3>
            <div class="facts">
              {tasks.slice(0, 1).map((task) => (
                <span key={task} class="chip">
                  {taskTitle(task)}
                </span>
              ))}
              <CidText cid={cid} of={name} />
            </div>
          </div>
          <button
            type="button"
            class="primary"
            aria-label={`Add ${name}`}
            onClick={() => addByReference(CID.parse(cid), name)}
          >
            <Icon name="plus" />
            Add
          </button>
        </article>
      ))}
    </section>
  )
}
