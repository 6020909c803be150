import { reasonOf } from '@x/storage-core/backend'

/** Waits until all have ended, also where some fail; then rejects as these did, with an `AggregateError` where it was several. */
export async function closeAll(endings: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(endings)
  const failures: unknown[] = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  if (failures.length > 1) throw new AggregateError(failures, failures.map(reasonOf).join('; '))
  if (failures.length === 1) throw failures[0]
}

/** The same for what is to end one after another. */
export async function closeInTurn(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const endings: Promise<void>[] = []
  for (const step of steps) {
    const ending = step()
    endings.push(ending)
    await Promise.allSettled([ending])
  }
  await closeAll(endings)
}
