// Everything that `npm test` asks of the repository, one check after another. A failed check does not hide the next.
// The last line counts checks and tests together: `N passed, N failed, N skipped`.
//
//   node tooling/verify.mjs [--full | --soak] [vitest filter...]
//
// With a filter only the tests that match it run. `--full` runs the heavy tests (`*.full.test.ts`) alone, `--soak` those
// that import a `soak.ts`, at full length.
import { spawnSync } from 'node:child_process'
import { chmodSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { describeKubo, findKubo } from './kubo/find-kubo.ts'

// Tests start hundreds of processes and threads, most of them on the same modules, types stripped: that takes half of their time.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/node-compile/', import.meta.url))

const full = process.argv.includes('--full')
const soak = process.argv.includes('--soak')
const wanted = process.argv.slice(2).filter((argument) => argument !== '--full' && argument !== '--soak')
const filters = soak
  ? soakFiles().filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  : wanted
const windows = process.platform === 'win32'

const CHECKS = [
  ['format', 'oxfmt', '--check', '.'],
  ['lint and package boundaries', 'oxlint'],
  ['types of configuration and tooling', 'tsc', '-p', 'tsconfig.json'],
  [
    'build, types, packages (publint, attw)',
    'turbo',
    'run',
    'build',
    'typecheck',
    'check:package',
    '--output-logs=errors-only',
  ],
  ['unused files and dependencies', 'knip', '--no-config-hints'],
  ['dependencies of what is published', 'knip', '--production', '--strict', '--dependencies'],
]

function soakFiles() {
  return globSync('{packages,apps,tooling}/*/test/**/*.test.ts', { exclude: ['**/node_modules/**'] }).filter((file) =>
    /from '.*\/soak\.ts'/.test(readFileSync(file, 'utf8')),
  )
}

const total = { passed: 0, failed: 0, skipped: 0 }
const notes = []

function step(name, command, args, env = process.env) {
  console.log(`\n== ${name}`)
  const started = performance.now()
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env, shell: windows })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  if (error) console.error(String(error))
  const passed = status === 0
  console.log(`${passed ? 'ok' : 'FAILED'}: ${name} (${seconds} s)`)
  return passed
}

if (!full && !soak && filters.length === 0) {
  for (const [name, command, ...args] of CHECKS) {
    if (step(name, command, args)) total.passed += 1
    else {
      total.failed += 1
      notes.push(`failed: ${name}`)
    }
  }
}

/** Room that there has to be in memory for the files of quick tests. */
const ROOM_BYTES = 8 * 1024 ** 3

/** Where quick tests write and flush their small files: in memory where there is room. Heavy ones are for the real disk. */
function folderInMemory() {
  const memory = '/dev/shm'
  try {
    const { bavail, bsize } = statfsSync(memory)
    if (bavail * bsize < ROOM_BYTES || !mayRunFilesOf(memory)) return undefined
    // What a run that was killed left there is memory that nobody else frees.
    for (const name of readdirSync(memory)) {
      const [, pid] = /^verify-(\d+)-/.exec(name) ?? []
      if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(memory, name), { recursive: true, force: true })
    }
    const folder = mkdtempSync(join(memory, `verify-${process.pid}-`))
    // As in /tmp: tests that act as another user get as far as their own folders.
    chmodSync(folder, 0o755)
    return folder
  } catch {
    // Another system, or one whose memory is not for us.
    return undefined
  }
}

/** Tests write scripts and run them. */
function mayRunFilesOf(mountPoint) {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
  // The last one is on top.
  const options = mounts.findLast(([, at]) => at === mountPoint)?.[3]
  return options !== undefined && !options.split(',').includes('noexec')
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

const inMemory = full || soak ? undefined : folderInMemory()
const folder = inMemory ?? mkdtempSync(join(tmpdir(), 'verify-'))
const countsFile = join(folder, 'counts.json')
try {
  const reporters = ['--reporter=default', '--reporter=./tooling/vitest-count-reporter.ts']
  if (soak && filters.length === 0) throw new Error('no file that matches has anything to soak')
  const flags = soak ? ['--project=node', '--testTimeout=3600000', '--hookTimeout=3600000'] : []
  const name = full ? 'heavy tests' : soak ? 'soak' : 'tests'
  const passed = step(name, 'vitest', ['run', ...reporters, ...flags, ...filters], {
    ...process.env,
    ...(full && { IPFS_ACCELERATE_TEST_FULL: '1' }),
    ...(soak && { IPFS_ACCELERATE_TEST_SOAK: '1' }),
    TEST_COUNTS_FILE: countsFile,
    ...(inMemory && { TMPDIR: inMemory }),
  })
  const counts = JSON.parse(readFileSync(countsFile, 'utf8'))
  for (const key of ['passed', 'failed', 'skipped']) total[key] += counts[key]
  notes.push(...counts.notes)
  if (counts.passed + counts.failed === 0) {
    total.failed += 1
    notes.push('failed: no test ran')
  }
  // A crash outside any test, or a file that does not load.
  if (!passed && counts.failed === 0) {
    total.failed += 1
    notes.push('failed: the test run itself')
  }
} catch (error) {
  total.failed += 1
  notes.push(`failed: the test run left no counts (${error.message})`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

try {
  const kubo = findKubo()
  // Where there is none the tests that were skipped say so.
  if (kubo) notes.unshift(`${describeKubo(kubo)} for the tests that need one`)
} catch (error) {
  notes.unshift(error.message)
}
if (notes.length > 0) console.log(`\n${notes.join('\n')}`)
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed > 0 ? 1 : 0
