import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

import { PROGRAM, type GatewayConformance } from './find-gateway-conformance.ts'

/** Sections of the suite; a collection (`trustless-gateway`) is all of its sections. */
export type GatewaySpec =
  | 'trustless-block-gateway'
  | 'trustless-car-gateway'
  | 'trustless-car-gateway-optional'
  | 'trustless-ipns-gateway'
  | 'trustless-gateway'
  | 'path-unixfs-gateway'
  | 'path-raw-gateway'
  | 'path-range-gateway'
  | 'path-dag-gateway'

export interface ConformanceReport {
  /** Names of the tests without tests of their own below them, as `TestA/one_case/its_part`. */
  passed: string[]
  failed: { name: string; message: string }[]
  /** By the suite itself. Tests of other sections are not listed. */
  skipped: string[]
}

/**
 * Runs sections of the public suite against a gateway that holds the fixtures.
 *
 * @param options.gatewayUrl - `http://127.0.0.1:PORT`.
 * @param options.specs - The sections to run.
 * @param options.timeoutMs - How long all of it may take. Default 300 000.
 * @throws It could not be run, or ran no test.
 */
export async function runGatewayConformance(
  { folder }: GatewayConformance,
  {
    gatewayUrl,
    specs,
    timeoutMs = 300_000,
    signal,
  }: {
    gatewayUrl: string
    specs: readonly GatewaySpec[]
    timeoutMs?: number | undefined
    signal?: AbortSignal | undefined
  },
): Promise<ConformanceReport> {
  const args = ['-test.v=test2json', `-test.timeout=${timeoutMs}ms`, `-specs=${specs.join(',')}`]
  const env = { ...process.env, GATEWAY_CONFORMANCE_HOME: folder, GATEWAY_URL: gatewayUrl }
  const child = spawn(join(folder, PROGRAM), args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], signal })
  const ended = new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, name) => resolve(code ?? name))
  })
  const report = readReport(createInterface({ input: child.stdout }))
  const [{ passed, failed, skipped, rest }, errors, status] = await Promise.all([report, text(child.stderr), ended])
  // 1 is for tests that failed; a crash is 2 and leaves no result for the test that it was in.
  if (passed.length + failed.length === 0 || (status !== 0 && (status !== 1 || failed.length === 0))) {
    throw new Error([`gateway-conformance: status ${status}`, ...rest.slice(-20), errors].join('\n'))
  }
  return { passed, failed, skipped }
}

/**
 * Go's test output with `-test.v=test2json`: a line that the test program wrote itself begins with ^V, so that no
 * output of a test is taken for one.
 *
 * @see https://pkg.go.dev/cmd/test2json
 */
async function readReport(lines: AsyncIterable<string>): Promise<ConformanceReport & { rest: string[] }> {
  const output = new Map<string, string[]>()
  const results: { name: string; result: string }[] = []
  const rest: string[] = []
  let current: string | undefined
  for await (const line of lines) {
    const at = line.indexOf('\u0016')
    const own = at < 0 ? undefined : line.slice(at + 1)
    const moved = own === undefined ? undefined : /^=== (?:RUN|CONT|NAME|PAUSE)\s+(\S*)$/.exec(own)
    const ended = own === undefined ? undefined : /^\s*--- (PASS|FAIL|SKIP): (.+) \([\d.]+s\)$/.exec(own)
    if (moved) {
      current = moved[1] || undefined
    } else if (ended) {
      results.push({ result: ended[1] ?? '', name: ended[2] ?? '' })
      // Only with -v: what follows is the reason of a test that was skipped or failed by itself.
      current = ended[2]
    } else if (current === undefined) {
      rest.push(line)
    } else {
      output.set(current, [...(output.get(current) ?? []), line])
    }
  }
  // A test fails with any of those below it.
  const hasPart = (name: string, result?: string): boolean =>
    results.some((other) => other.name.startsWith(`${name}/`) && (result === undefined || other.result === result))
  const report: ConformanceReport = { passed: [], failed: [], skipped: [] }
  for (const { name, result } of results) {
    if (result === 'FAIL' && !hasPart(name, 'FAIL')) {
      report.failed.push({ name, message: (output.get(name) ?? []).join('\n').trim() })
    } else if (result === 'PASS' && !hasPart(name)) report.passed.push(name)
    else if (result === 'SKIP') report.skipped.push(name)
  }
  return { ...report, rest }
}
