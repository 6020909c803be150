// npm run bench -- [question...] [--rounds N] [--bytes N] [--entries N] [--directory PATH] [--source]
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { findKubo } from '../tooling/kubo/find-kubo.ts'
import { question as add } from './add/question.ts'
import { questions as browser } from './browser/questions.ts'
import { question as composed } from './composed/question.ts'
import { question as download } from './download/question.ts'
import { describeMachine } from './harness/machine.ts'
import { answerJson, answerText, machineText } from './harness/report.ts'
import { runQuestion } from './harness/run-question.ts'
import { stripTypes } from './harness/strip-types.ts'
import { createWorkspace } from './harness/workspace.ts'
import { questions as infer } from './infer/questions.ts'
import { question as memory } from './memory/question.ts'
import { question as onlyHash } from './only-hash/question.ts'
import { question as openModel } from './open-model/question.ts'
import { question as pins } from './pins/question.ts'
import { question as ranges } from './ranges/question.ts'
import { question as read } from './read/question.ts'
import { question as roots } from './roots/question.ts'
import { questions as serve } from './serve/questions.ts'
import { question as smallFiles } from './small-files/question.ts'
import { question as transfer } from './transfer/question.ts'

const QUESTIONS = [
  onlyHash,
  add,
  read,
  ranges,
  smallFiles,
  pins,
  roots,
  memory,
  transfer,
  download,
  composed,
  openModel,
  ...infer,
  ...serve,
  ...browser,
]
const here = fileURLToPath(new URL('.', import.meta.url))

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}

function count(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) fail(`--${name} takes a whole number above 0, not '${text}'`)
  return value
}

function prepareCommand(command: string, args: readonly string[], cwd: string): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2] })
  if (status !== 0) fail(`${command} ${args.join(' ')}: ${error?.message ?? `exit status ${status}`}`)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    bytes: { type: 'string' },
    entries: { type: 'string' },
    directory: { type: 'string' },
    source: { type: 'boolean', default: false },
  },
})
const names = QUESTIONS.map((question) => question.name)
/** A question by its name, or all parts of one by that of their folder. */
const isNamed = (name: string, by: string): boolean => name === by || name.startsWith(`${by}/`)
const unknown = positionals.find((by) => !names.some((name) => isNamed(name, by)))
if (unknown !== undefined) fail(`no question '${unknown}'; there are: ${names.join(', ')}`)
const asked = QUESTIONS.filter(({ name }) => positionals.length === 0 || positionals.some((by) => isNamed(name, by)))
const options = {
  rounds: count('rounds', values.rounds),
  bytes: count('bytes', values.bytes) ?? 2 ** 30,
  entries: count('entries', values.entries),
  source: values.source,
}

prepareCommand(
  'pnpm',
  ['install', '--frozen-lockfile', '--ignore-scripts', '--prefer-offline', '--loglevel=warn'],
  here,
)
// What users run is what was built; `--source` is for trying changes out.
if (!options.source)
  prepareCommand(
    'turbo',
    [
      'run',
      'build',
      '--filter=@x/backend-fs',
      '--filter=@x/backend-helia',
      '--filter=@x/transfer',
      '--filter=@x/node',
      '--filter=@x/infer-node',
      '--filter=@x/server',
      '--filter=@x/web',
      '--output-logs=errors-only',
    ],
    join(here, '..'),
  )

mkdirSync(values.directory ?? tmpdir(), { recursive: true })
const folder = mkdtempSync(join(values.directory ?? tmpdir(), 'ipfs-accelerate-bench-'))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))
// The job that was running has just been ended, and may take a moment to be gone.
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }))

const kubo = findKubo()?.path
const machine = await describeMachine(folder, kubo)
const results = join(here, 'results')
mkdirSync(results, { recursive: true })
console.log(machineText(machine))
if (machine.fileSystem === 'tmpfs')
  console.log('This folder is in memory: --directory names one on a disk, without which durable says nothing.')

const workspace = createWorkspace({
  folder,
  bytes: options.bytes,
  entries: options.entries,
  kubo,
  compiled: stripTypes(here),
  nodeFlags: ['--disable-warning=ExperimentalWarning', ...(options.source ? ['--conditions=@x/source'] : [])],
})
let failed = 0
for (const question of asked) {
  try {
    const answer = await runQuestion(question, workspace, {
      rounds: options.rounds,
      log: (line) => console.error(line),
    })
    writeFileSync(join(results, `${question.name.replace('/', '-')}.json`), answerJson(answer, machine, options))
    console.log(`\n${answerText(answer)}`)
  } catch (error) {
    failed += 1
    console.error(`\n${question.name} FAILED: ${error instanceof Error ? error.message : String(error)}`)
  }
}
process.exitCode = failed === 0 ? 0 : 1
