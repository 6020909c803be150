import type { OpfsStore } from '@x/backend-opfs'

import { canRecord, openOpfsPartials, type OpfsPartialsOptions } from './opfs-partials.ts'

/**
 * Frees what downloads left here that did not end, as `pullModel` would have gone on with. Not of those that go on in some tab.
 *
 * @throws {BackendError} The file system fails.
 */
export async function discardUnfinished(
  storage: OpfsStore,
  { directory }: Pick<OpfsPartialsOptions, 'directory'> = {},
): Promise<void> {
  if (!(await canRecord())) return
  const partials = await openOpfsPartials(storage, { directory, abandonedMs: 0 })
  await partials.close()
}
