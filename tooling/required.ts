const WORDS = ['kubo', 'kubo-oldest', 'chromium', 'gateway-conformance', 'python', 'versitygw'] as const

export type Requirement = (typeof WORDS)[number]

/**
 * Whether `IPFS_ACCELERATE_TEST_REQUIRE` (words with commas between them) names this: then a test that cannot have it
 * fails, where it would be skipped otherwise.
 */
export function isRequired(what: Requirement, environment: NodeJS.ProcessEnv = process.env): boolean {
  const wanted = (environment['IPFS_ACCELERATE_TEST_REQUIRE'] ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean)
  const unknown = wanted.find((word) => !WORDS.some((known) => known === word))
  if (unknown !== undefined) {
    throw new Error(`IPFS_ACCELERATE_TEST_REQUIRE: '${unknown}' is none of ${WORDS.join(', ')}`)
  }
  return wanted.includes(what)
}
