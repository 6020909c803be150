import { isStorageError, type ErrorCode } from '@x/cid'

/** The code of one of the family; `undefined` for anything else. */
export const codeOf = (error: unknown): ErrorCode | undefined => (isStorageError(error) ? error.code : undefined)
