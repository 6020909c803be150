import { DAG_PB, IntegrityError, isStorageError, readDirectory, readNode, type CID, type StorageError } from '@x/cid'
import { NotFoundError, type AbortOptions, type ContentStore } from '@x/storage-core'

/**
 * Runs something that reads a model; what is damaged or missing is named by the file's path in the model. A store may know no more than
 * the CID of the file, or where it lies on disk.
 */
export async function namingDamage<T>(
  store: ContentStore,
  root: CID,
  options: AbortOptions,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    if (isMissing(cause)) {
      const file = await findPath(store, root, cause.cid, options, cause)
      if (file === undefined) throw cause
      const message = `${file}: ${cause.message}`
      throw new NotFoundError(`${root.toString()}/${file}`, { cid: cause.cid, message, cause })
    }
    if (!isIntegrityError(cause)) throw cause
    const { cid, actual, offset, message } = cause
    const file = await findPath(store, root, cid, options, cause)
    if (file === undefined || file === cause.file) throw cause
    throw new IntegrityError(`${file}: ${message}`, { cid, actual, offset, file, cause })
  }
}

const isMissing = (error: unknown): error is NotFoundError & { cid: CID } =>
  isStorageError(error) && error.code === 'NOT_FOUND' && 'cid' in error && error.cid !== undefined

const isIntegrityError = (error: unknown): error is IntegrityError =>
  isStorageError(error) && error.code === 'INTEGRITY' && 'cid' in error

/** The path of a file below a directory; reads directories alone. */
async function findPath(
  store: ContentStore,
  directory: CID,
  wanted: CID,
  options: AbortOptions,
  damage: StorageError,
  seen: Set<string> = new Set(),
): Promise<string | undefined> {
  const get = (cid: CID): Promise<Uint8Array> => store.blocks.get(cid, options)
  try {
    for await (const { name, cid } of readDirectory(get, directory, options)) {
      if (cid.equals(wanted)) return name
      if (cid.code !== DAG_PB || seen.has(cid.toString())) continue
      seen.add(cid.toString())
      const { type } = await readNode(get, cid, options)
      if (type !== 'directory' && type !== 'shard') continue
      const below = await findPath(store, cid, wanted, options, damage, seen)
      if (below !== undefined) return `${name}/${below}`
    }
    return undefined
  } catch (error) {
    // The damage is what matters; without a directory to read, it goes without a path.
    if (isStorageError(error)) throw damage
    throw error
  }
}
