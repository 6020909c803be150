/**
 * Why something failed, in a few words and without its address: whoever says it has named that. Of a failed system call its
 * code, such as `ECONNREFUSED`.
 */
export function reasonOf(error: unknown): string {
  const errors = error instanceof Error ? [error, error.cause] : [error]
  const texts = errors.filter(Boolean).map((one) => (one instanceof Error ? one.message : String(one)))
  const [code] = texts.flatMap((text) => /\bE[A-Z_\d]{3,}\b/.exec(text)?.[0] ?? [])
  return code ?? texts[0]?.split('\n', 1)[0] ?? 'no reason was given'
}
