/** Whether an error of `node:fs` says that nothing is there. */
export const isAbsent = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')

/** For `catch`. */
export function absentAsUndefined(error: unknown): undefined {
  if (isAbsent(error)) return undefined
  throw error
}
