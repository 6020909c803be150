import type { Evidence } from './types.ts'

/** Holds what has been proved so far, and who proved it. */
export function createAgreement(expected: Evidence): {
  /** @throws {Error} The job gave another result than others, or none. */
  check(job: string, evidence: Evidence): void
} {
  const known = new Map(Object.entries(expected).map(([key, value]) => [key, { value, by: 'the input' }]))
  return {
    check: (job, evidence) => {
      const entries = Object.entries(evidence)
      if (entries.length === 0) throw new Error(`'${job}' proves nothing`)
      for (const [key, value] of entries) {
        const before = known.get(key)
        if (before && before.value !== value) {
          throw new Error(`'${job}' gives ${key} ${value}; ${before.by} gives ${before.value}`)
        }
        if (!before) known.set(key, { value, by: `'${job}'` })
      }
    },
  }
}
