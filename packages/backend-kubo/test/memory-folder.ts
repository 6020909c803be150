import { statfs } from 'node:fs/promises'

const FOLDER = '/dev/shm'
/** Several times what the daemons of one file hold. */
const ROOM_BYTES = 2 * 1024 ** 3

/** Where Linux keeps files in memory, if there is room: many small ones on a disk that is busy take three times as long. */
export async function memoryFolder(): Promise<string | undefined> {
  try {
    const { bavail, bsize } = await statfs(FOLDER)
    return bavail * bsize >= ROOM_BYTES ? FOLDER : undefined
  } catch {
    // Another system, whose own folder for temporary files it is then.
    return undefined
  }
}
