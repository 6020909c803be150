/** What an error of Node, or of ours, says in `code`; `undefined` for one without. */
export const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
