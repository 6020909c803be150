import { writeFileSync } from 'node:fs'

import type { Reporter, TestCase, TestModule } from 'vitest/node'

interface Counts {
  passed: number
  failed: number
  skipped: number
  notes: string[]
}

/** Tests by the reason for which they were skipped. */
type Skipped = Map<string, string[]>

// A reason that more tests than these share is said once.
const SAID_EACH = 3

/** Counts for `tooling/verify.mjs`, with a line for each test that failed or was skipped and why. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const counts: Counts = { passed: 0, failed: 0, skipped: 0, notes: [] }
    const skipped: Skipped = new Map()
    for (const error of unhandled) fail(counts, `outside any test: ${describe(error)}`)
    for (const module of modules) {
      // A file that does not load, and hooks that fail: the tests below them are only reported as skipped.
      for (const place of [module, ...module.children.allSuites()]) {
        const where =
          place.type === 'suite' ? `${module.relativeModuleId} > ${place.fullName}` : module.relativeModuleId
        for (const error of place.errors()) fail(counts, `${where}: ${describe(error)}`)
      }
      for (const test of module.children.allTests())
        count(counts, skipped, `${module.relativeModuleId} > ${test.fullName}`, test)
    }
    for (const [reason, names] of skipped) {
      counts.skipped += names.length
      const files = new Set(names.map((name) => name.split(' > ')[0]))
      if (names.length > SAID_EACH) note(counts, `${names.length} tests of ${[...files].join(', ')}: ${reason}`)
      else for (const name of names) note(counts, `${name}: ${reason}`)
    }
    // What the configuration left out as a whole.
    for (const leftOut of (process.env['TEST_LEFT_OUT'] ?? '').split('\n').filter(Boolean)) {
      counts.skipped += 1
      note(counts, leftOut)
    }
    const file = process.env['TEST_COUNTS_FILE']
    if (file) writeFileSync(file, JSON.stringify(counts))
  }
}

function count(counts: Counts, skipped: Skipped, name: string, test: TestCase): void {
  const result = test.result()
  if (result.state === 'passed') counts.passed += 1
  else if (result.state === 'failed') fail(counts, name)
  else if (result.state === 'skipped' && result.note)
    skipped.set(result.note, [...(skipped.get(result.note) ?? []), name])
  // `context.skip(reason)` is how a test is skipped here; anything else hides what was not run.
  else fail(counts, `${name}: not run, and no reason given`)
}

function fail(counts: Counts, what: string): void {
  counts.failed += 1
  counts.notes.push(`failed: ${what}`)
}

function note(counts: Counts, what: string): void {
  counts.notes.push(`skipped: ${what}`)
}

function describe(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error)
}
