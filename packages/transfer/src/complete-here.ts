import { wrongFile } from './download-errors.ts'
import { BadLeafError, OwnMediumError, type FileRun } from './file-run.ts'

export interface CompleteHereOptions {
  signal: AbortSignal
  /** One is done. */
  onLeaf: () => void
}

/** Completes the leaves that no source is needed for: those all of which is on this machine, and that of an empty file. */
export async function completeHere(file: FileRun, { signal, onLeaf }: CompleteHereOptions): Promise<void> {
  if (file.wanted.size === 0 && !file.isWhole()) await completeEmpty(file)
  for (const leaf of file.localLeaves()) {
    signal.throwIfAborted()
    await copyLocal(file, leaf, signal)
    file.releaseLocal(leaf)
    onLeaf()
  }
}

async function completeEmpty(file: FileRun): Promise<void> {
  await file.complete({ leaf: 0, bytes: new Uint8Array(), filled: 0, parts: [] }).catch((error: unknown) => {
    if (error instanceof OwnMediumError) throw error.cause
    throw wrongFile(file.wanted)
  })
}

/** Where it is not what it should be, it is fetched instead. */
async function copyLocal(file: FileRun, leaf: number, signal: AbortSignal): Promise<void> {
  const { offset, length } = file.plan.place(leaf)
  const fill = file.takeFill(leaf)
  const isRead = file.local?.covers(offset, length) && (await file.local.read(offset, fill.bytes, { signal }))
  if (!isRead) return
  await file.complete({ ...fill, filled: length, parts: [{ end: length, by: 'local' }] }).catch((error: unknown) => {
    if (error instanceof OwnMediumError) throw error.cause
    if (!(error instanceof BadLeafError)) throw error
  })
}
