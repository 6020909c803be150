import type { CID } from '@x/cid'
import type { PartialFile, PartialStore } from '@x/storage-core'
import type { Slots } from '@x/storage-core/backend'

import type { DownloadEvent } from './events.ts'
import { keyOfWanted, type WantedFile } from './wanted-file.ts'

export interface WithPartialOptions<T> {
  partials: PartialStore
  slots: Slots
  signal: AbortSignal
  onEvent: ((event: DownloadEvent) => void) | undefined
  /** The store has all of it. */
  onHeld: (root: CID) => T
  /** The file is closed when this has settled: by then nobody writes to it any more. */
  onOpen: (partial: PartialFile) => Promise<T>
}

/** Opens the partial file of a file in its turn, has it worked on, and closes it. */
export async function withPartial<T>(asked: WantedFile, options: WithPartialOptions<T>): Promise<T> {
  const { partials, slots, signal, onEvent, onHeld, onOpen } = options
  await slots.enter(signal)
  let hasSlot = true
  const leave = (): void => {
    if (hasSlot) slots.leave()
    hasSlot = false
  }
  try {
    const opened = await partials.open(keyOfWanted(asked), {
      signal,
      onWaiting: (recordedBytes) => {
        onEvent?.({ type: 'file-waiting', path: asked.path, recordedBytes })
        // Who waits for another process keeps nobody else waiting.
        leave()
      },
    })
    if ('held' in opened) return onHeld(opened.held)
    try {
      return await onOpen(opened)
    } finally {
      await opened.close()
    }
  } finally {
    leave()
  }
}
