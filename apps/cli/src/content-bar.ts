import type { CID } from '@x/cid'

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
  // What is wrong with the root is for the work itself to say; a DAG that is no file or directory has no size.
  const stat = await (await source()).stat(root, { path, signal }).catch(() => undefined)
  if (stat) bar.expect({ bytes: stat.size })
  return bar
}
