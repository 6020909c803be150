import { isStorageError } from '@x/cid'

/** The code of one of our errors; the error itself when it is none. */
export const codeOf = (error: unknown): unknown => (isStorageError(error) ? error.code : error)
