import { IntegrityError } from '@x/cid'

/** Names the file as the caller knows it, by its path in the DAG, '' for the root itself; the message has its path on disk. */
export async function namingFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause
    const { cid, actual, offset, message } = cause
    throw new IntegrityError(path === '' ? message : `${path}: ${message}`, { cid, actual, offset, file: path, cause })
  }
}

/** A path below another one inside a DAG; the root's own is ''. */
export const below = (path: string, name: string): string => (path === '' ? name : `${path}/${name}`)
