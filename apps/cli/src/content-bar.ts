import type { CID } from '@x/cid'
import { isStorageError } from '@x/storage-core'

import type { Context } from './command.ts'
import type { ProgressBar } from './progress-bar.ts'

/** A bar for work on what lies below a root. Its size is asked for only where the bar is seen. */
export async function contentBar(
  { source, printer, signal }: Context,
  root: CID,
  { label, path = '' }: { label: string; path?: string },
): Promise<ProgressBar> {
  const bar = printer.progress(label)
  if (!bar.isShown) return bar
  try {
    const { size } = await (await source()).stat(root, { path, signal })
    bar.expect({ bytes: size })
  } catch (error) {
    signal.throwIfAborted()
    if (!isStorageError(error)) throw error
    // Absent, damaged, out of reach, or of no kind that has a size: a bar without a total. The work that follows reads the
    // same root, and its error is the answer.
  }
  return bar
}
