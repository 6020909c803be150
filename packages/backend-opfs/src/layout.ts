/*
 * <directory>/index.<generation>   the records, appended to; the highest generation whose writing was ended is the one
 * <directory>/reserve              room that is kept for freeing room; made when there is much to free
 * <directory>/data/<id>            a whole file, or blocks end to end; which and where is in the index
 */
const INDEX = /^index\.(\d{1,15})$/

export const DATA = 'data'

export const RESERVE = 'reserve'

export const indexName = (generation: number): string => `index.${generation}`

/** Highest first. */
export async function indexGenerations(directory: FileSystemDirectoryHandle): Promise<number[]> {
  const found: number[] = []
  for await (const name of directory.keys()) {
    const [, generation] = INDEX.exec(name) ?? []
    if (generation !== undefined) found.push(Number(generation))
  }
  return found.toSorted((a, b) => b - a)
}

/**
 * Where there is no index: data files come after one is on the disk, so it was lost, and a new one would lose them.
 *
 * @throws There are data files.
 */
export async function assertNoData(data: FileSystemDirectoryHandle): Promise<void> {
  for await (const name of data.keys())
    throw new Error(`the index is gone, and data is there (${name}): it is left as it is`)
}

/** `path` below the root of the origin's file system. Names are those of the caller's program. */
export async function openDirectory(path: string, create: boolean): Promise<FileSystemDirectoryHandle> {
  let directory = await navigator.storage.getDirectory()
  for (const name of path.split('/')) directory = await directory.getDirectoryHandle(name, { create })
  return directory
}

const isNotFound = (error: unknown): boolean => error instanceof DOMException && error.name === 'NotFoundError'

/** `undefined` when it is not there. */
export async function ifThere<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}
