import { writeFileSync } from 'node:fs'

import type { Reporter, TestModule } from 'vitest/node'

/** Counts for `tooling/verify.mjs`, with a line for each test that failed or was skipped and why. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 }
    const notes: string[] = []
    for (const error of unhandled) notes.push(`failed: outside any test: ${describe(error)}`)
    for (const module of modules) {
      const name = module.relativeModuleId
      if (module.state() === 'failed' && [...module.children.allTests('failed')].length === 0) {
        counts.failed += 1
        notes.push(`failed: ${name}: ${module.errors().map(describe).join('; ')}`)
      }
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (result.state === 'passed') counts.passed += 1
        else if (result.state === 'failed') {
          counts.failed += 1
          notes.push(`failed: ${name} > ${test.fullName}`)
        } else {
          counts.skipped += 1
          const why = result.state === 'skipped' ? result.note : undefined
          notes.push(`skipped: ${name} > ${test.fullName}: ${why ?? 'no reason given'}`)
        }
      }
    }
    // What the configuration left out as a whole.
    for (const note of (process.env.TEST_LEFT_OUT ?? '').split('\n').filter(Boolean)) {
      counts.skipped += 1
      notes.push(`skipped: ${note}`)
    }
    const file = process.env.TEST_COUNTS_FILE
    if (file) writeFileSync(file, JSON.stringify({ ...counts, notes }))
  }
}

function describe(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error)
}
