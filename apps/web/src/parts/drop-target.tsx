import { useSignal } from '@preact/signals'
import type { ComponentChildren, JSX } from 'preact'
import { useRef } from 'preact/hooks'

import { droppedFolder } from '../folder/given-folder.ts'
import { addFolder } from '../state/add-folder.ts'
import { Icon } from './icon.tsx'
import { ErrorNotice } from './notice.tsx'

/** The whole page: a folder that is dropped anywhere on it is added. */
export function DropTarget({ children }: { children: ComponentChildren }): JSX.Element {
  const hovered = useSignal(false)
  const problem = useSignal<unknown>(undefined)
  // Elements inside are entered and left, too.
  const depth = useRef(0)
  const hover = (by: number): void => {
    depth.current += by
    hovered.value = depth.current > 0
  }
  const drop = async (transfer: DataTransfer): Promise<void> => {
    try {
      const folder = droppedFolder(transfer)
      if (!folder) throw new TypeError('Drop one folder with a model’s files; single files are no model')
      addFolder(await folder)
      problem.value = undefined
      location.hash = '#/models'
    } catch (error) {
      problem.value = error
    }
  }
  return (
    <div
      class="app"
      onDragEnter={(event) => ofFiles(event) && hover(1)}
      onDragLeave={(event) => ofFiles(event) && hover(-1)}
      onDragOver={(event) => ofFiles(event) && event.preventDefault()}
      onDrop={(event) => {
        const transfer = ofFiles(event)
        if (!transfer) return
        event.preventDefault()
        hover(-depth.current)
        void drop(transfer)
      }}
    >
      {children}
      {problem.value !== undefined && (
        <div class="toast">
          <ErrorNotice error={problem.value}>
            <button type="button" onClick={() => (problem.value = undefined)}>
              Dismiss
            </button>
          </ErrorNotice>
        </div>
      )}
      {hovered.value && (
        <div class="drop-hint" aria-hidden="true">
          <Icon name="folder" />
          Drop the model’s folder to add it
        </div>
      )}
    </div>
  )
}

const ofFiles = (event: DragEvent): DataTransfer | undefined =>
  event.dataTransfer?.types.includes('Files') ? event.dataTransfer : undefined
