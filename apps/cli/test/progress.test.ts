import { mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { pathSource } from '@x/node'
import { afterEach, describe, expect, it, vi } from 'vitest'

import { measureSource } from '../src/measure-source.ts'
import { progressText } from '../src/progress-text.ts'
import { cli, temporaryDirectory, type Outcome } from './harness.ts'

describe('progressText', () => {
  const cases: [what: string, text: string, ...Parameters<typeof progressText>][] = [
    [
      'one large file',
      '[#####---------------] 25%  250.0 MB of 1.0 GB  50.0 MB/s  15 s left  big.bin',
      { bytes: 250e6, label: 'big.bin' },
      { bytes: 1e9 },
      { unit: 'file', seconds: 5, columns: 120 },
    ],
    [
      'many small files',
      '[##------------------] 12%  1.2 MB of 10.0 MB  1,234 of 10,000 files  617.0 kB/s  15 s left  sub/a',
      { bytes: 1_234_000, items: 1234, label: 'sub/a' },
      { bytes: 1e7, items: 10_000 },
      { unit: 'file', seconds: 2, columns: 120 },
    ],
    [
      'files of which nothing is known yet',
      '3.0 MB  1 file  1.0 MB/s  a',
      { bytes: 3e6, items: 1, label: 'a' },
      {},
      { unit: 'file', seconds: 3, columns: 120 },
    ],
    [
      'files without a byte, by their count',
      '[##########----------] 50%  0 B of 0 B  2 of 4 files  0 B/s  2 s left  a',
      { bytes: 0, items: 2, label: 'a' },
      { bytes: 0, items: 4 },
      { unit: 'file', seconds: 2, columns: 120 },
    ],
    [
      'the start, when no rate is known',
      '[--------------------] 0%  0 B of 1.0 GB  0 B/s  a',
      { bytes: 0, label: 'a' },
      { bytes: 1e9 },
      { unit: 'file', seconds: 0, columns: 120 },
    ],
    [
      'more than was announced',
      '[####################] 100%  1.1 GB of 1.0 GB  110.0 MB/s  0 s left  a',
      { bytes: 1.1e9, label: 'a' },
      { bytes: 1e9 },
      { unit: 'file', seconds: 10, columns: 120 },
    ],
    [
      'hours',
      '[--------------------] 1%  10.0 GB of 1.0 TB  7 of 9 roots  10.0 MB/s  27 h 30 min left  a',
      { bytes: 1e10, items: 7, label: 'a' },
      { bytes: 1e12, items: 9 },
      { unit: 'root', seconds: 1000, columns: 120 },
    ],
    [
      'minutes',
      '[##########----------] 50%  1.0 GB of 2.0 GB  5.0 MB/s  3 min 20 s left  a',
      { bytes: 1e9, label: 'a' },
      { bytes: 2e9 },
      { unit: 'file', seconds: 200, columns: 120 },
    ],
    [
      'a narrow terminal: what is done now is cut',
      '[##########----------] 50%  1.0 GB of 2.0 GB  5.0 MB/s  3 min 20 s left  /a/ver',
      { bytes: 1e9, label: '/a/very/long/path' },
      { bytes: 2e9 },
      { unit: 'file', seconds: 200, columns: 79 },
    ],
    [
      'a narrow terminal and many figures: the bar goes',
      '90%  18.0 MB of 20.0 MB  9,000 of 10,000 files  25.0 MB/s  1 s left  d1/f1',
      { bytes: 18e6, items: 9000, label: 'd1/f1' },
      { bytes: 20e6, items: 10_000 },
      { unit: 'file', seconds: 0.72, columns: 79 },
    ],
  ]
  it.each(cases)('%s', (_what, text, ...given) => {
    expect(progressText(...given)).toBe(text)
  })
})

describe('measureSource', () => {
  it('counts what an add takes: no hidden files, no symlinks', async () => {
    const tree = path.join(await temporaryDirectory(), 'tree')
    await mkdir(path.join(tree, 'a', 'b'), { recursive: true })
    await mkdir(path.join(tree, '.git'))
    for (let index = 0; index < 150; index++) await writeFile(path.join(tree, 'a', `f${index}`), 'x'.repeat(index))
    await writeFile(path.join(tree, 'a', 'b', 'c'), 'four')
    await writeFile(path.join(tree, '.hidden'), 'hidden')
    await writeFile(path.join(tree, '.git', 'x'), 'hidden')
    await symlink('a', path.join(tree, 'link'))
    expect(await measureSource(await pathSource(tree))).toEqual({ bytes: (150 * 149) / 2 + 4, items: 151 })
    const stop = new Error('enough')
    const measured = measureSource(await pathSource(tree), { signal: AbortSignal.abort(stop) })
    await expect(measured).rejects.toBe(stop)
  })
})

/** What takes a bar off its line. */
const TAKEN_OFF = '\r\u001B[K'

/** Runs with a clock of which each reading is a second later, so that every update is drawn. */
async function onTerminal(argv: readonly string[]): Promise<{ outcome: Outcome; drawn: string[] }> {
  let seconds = 0
  vi.spyOn(performance, 'now').mockImplementation(() => (seconds += 1) * 1000)
  const outcome = await cli(argv, { terminals: ['stderr'] })
  vi.restoreAllMocks()
  return { outcome, drawn: outcome.stderr.split(TAKEN_OFF).filter(Boolean) }
}

describe('a bar', () => {
  afterEach(() => vi.restoreAllMocks())

  it('is shown while things are added, checked, exported and imported, and is gone at the end', async () => {
    const folder = await temporaryDirectory()
    const store = ['--store', path.join(folder, 'store')]
    const [file, tree, car] = [path.join(folder, 'file'), path.join(folder, 'tree'), path.join(folder, 'x.car')]
    await writeFile(file, Buffer.alloc(3_000_000, 1))
    await mkdir(tree)
    for (let index = 0; index < 40; index++) await writeFile(path.join(tree, `f${index}`), `file ${index}`)

    const added = await onTerminal(['add', file, ...store])
    expect(added.drawn.at(-1)).toMatch(/^\[#{20}\] 100% {2}3\.0 MB of 3\.0 MB {2}\S+ \wB\/s {2}0 s left {2}\S+file$/)
    expect(added.outcome.stderr.endsWith(TAKEN_OFF)).toBe(true)
    const root = added.outcome.stdout.split(' ')[0] ?? ''

    const many = await onTerminal(['add', tree, ...store])
    expect(many.drawn.some((text) => /\b\d+(?: of 40)? files?  /.test(text))).toBe(true)
    expect(many.drawn.at(-1)).toMatch(/\b40(?: of 40)? files {2}/)

    expect((await onTerminal(['verify', '--all', ...store])).drawn.at(-1)).toMatch(/\d of 2 roots {2}/)
    expect((await onTerminal(['verify', root, ...store])).drawn.at(-1)).toMatch(/100% {2}3\.0 MB of 3\.0 MB/)
    // All leaves but the last are the same, and are in the CAR once.
    expect((await onTerminal(['car', 'export', root, '-o', car, ...store])).drawn.at(-1)).toMatch(/^2\.0 MB {2}/)
    expect((await onTerminal(['car', 'import', car, ...store])).drawn.at(-1)).toMatch(/100% .* \d blocks {2}/)
    expect((await onTerminal(['get', root, '-o', path.join(folder, 'out'), ...store])).drawn.at(-1)).toMatch(/100%/)
  })

  it('is not shown with --json, nor where nobody looks', async () => {
    const folder = await temporaryDirectory()
    const file = path.join(folder, 'file')
    await writeFile(file, Buffer.alloc(3_000_000, 1))
    const argv = ['add', file, '--store', path.join(folder, 'store')]
    expect((await onTerminal([...argv, '--json'])).outcome.stderr).toBe('')
    expect((await cli(argv)).stderr).toBe('')
  })
})
