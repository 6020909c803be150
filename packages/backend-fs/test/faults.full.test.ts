import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { cidOf, RAW } from '@x/cid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { openFailingDisk, type FailingDisk, type FaultCall } from '../../../tooling/faults/failing-disk.ts'
import { openFsStore } from '../src/index.ts'
import { contentOf, directoryOfBytes, HELD_BLOCK, HELD_FILE, HELD_SMALL, writeUserFolder } from './drill-content.ts'
import { drill, rehearse, type Drill, type Rehearsed } from './fault-drill.ts'
import { soak } from './soak.ts'

// Each call that changes the disk is the last one of its process in turn, or fails in turn: a few of them in `npm test`,
// all in `npm run test:soak`.

/** What changes a disk. */
const CHANGES: readonly FaultCall[] = [
  'create',
  'write',
  'pwrite',
  'fsync',
  'fdatasync',
  'ftruncate',
  'rename',
  'link',
  'symlink',
  'unlink',
  'mkdir',
  'rmdir',
  'chmod',
  'copy_file_range',
  'sendfile',
  'ficlone',
]
const WRITES: readonly FaultCall[] = ['write', 'pwrite', 'copy_file_range', 'sendfile']
/** What needs room; a full disk still removes and cuts. */
const GROWS: readonly FaultCall[] = [...WRITES, 'create', 'mkdir', 'link', 'symlink', 'rename', 'fsync', 'fdatasync']
const OPENS: readonly FaultCall[] = ['open', 'create']
const READS: readonly FaultCall[] = ['open', 'read', 'pread']

const all = Number.POSITIVE_INFINITY
const DRILLS: Record<string, Drill> = {
  'is killed before the call': { calls: CHANGES, effect: 'kill', most: soak(6, all) },
  'is killed in the middle of a write': { calls: WRITES, effect: 'torn', most: soak(1, all) },
  'has no space once': { calls: GROWS, effect: 'ENOSPC', count: 1, most: soak(2, all) },
  'has no space from there, in the middle of a write': {
    calls: GROWS,
    effect: 'ENOSPC',
    halfFirst: true,
    most: soak(1, all),
  },
  'is over its quota once': { calls: GROWS, effect: 'EDQUOT', count: 1, most: soak(1, all) },
  'cannot write once': { calls: CHANGES, effect: 'EIO', count: 1, most: soak(2, all) },
  'cannot write from there': { calls: CHANGES, effect: 'EIO', most: soak(1, all) },
  'cannot read once': { calls: READS, effect: 'EIO', count: 1, most: soak(1, all) },
  'has no free handle once': { calls: OPENS, effect: 'EMFILE', count: 1, most: soak(1, all) },
}

let disk: FailingDisk | { reason: string }
let parent: string
let templates: Record<'held' | 'unindexed' | 'lost' | 'none', string>
let folder: string

beforeAll(async () => {
  disk = await openFailingDisk()
  parent = await mkdtemp(join(tmpdir(), 'faults-'))
  folder = join(parent, 'user')
  templates = {
    held: join(parent, 'held'),
    unindexed: join(parent, 'unindexed'),
    lost: join(parent, 'lost'),
    none: join(parent, 'none'),
  }
  if ('reason' in disk) return
  await writeUserFolder(folder)
  await mkdir(templates.none)
  await fill(join(templates.held, 'store'))
  await cp(templates.held, templates.unindexed, { recursive: true })
  for (const name of await readdir(join(templates.unindexed, 'store'))) {
    if (name.startsWith('index.')) await rm(join(templates.unindexed, 'store', name))
  }
  await cp(templates.unindexed, templates.lost, { recursive: true })
  await rm(join(templates.lost, 'store', 'journal'))
})

afterAll(() => rm(parent, { recursive: true, force: true }))

/** Something of everything that `gc` frees, and of what it must not. */
async function fill(directory: string): Promise<void> {
  const store = await openFsStore({ directory })
  await store.add(HELD_FILE, { pin: false })
  await store.add(HELD_SMALL, { pin: false })
  const stays = { 'a.bin': contentOf(120_000, 'a'), b: contentOf(500, 'b'), c: contentOf(700, 'c') }
  await store.add(directoryOfBytes(stays), { name: 'stays' })
  // A pack of which a fifth is needed in the end.
  const many = Array.from({ length: 10 }, (_, index) => [`${index}`, contentOf(4000, `many ${index}`)] as const)
  await store.add(directoryOfBytes(Object.fromEntries(many)), { pin: false })
  await store.add(directoryOfBytes(Object.fromEntries(many.slice(0, 2))), { name: 'needs a few' })
  const goes = {
    'own.bin': contentOf(100_000, 'own'),
    own: contentOf(600, 'own'),
    ...Object.fromEntries(many.slice(1, 2)),
  }
  await store.add(directoryOfBytes(goes), { name: 'goes' })
  await store.add(contentOf(400_000, 'wrapped'), { pin: false, profile: 'unixfs-v0-2015' })
  await store.add(contentOf(300_000, 'wrapped'), { profile: 'unixfs-v0-2015' })
  await store.blocks.put(await cidOf(RAW, HELD_BLOCK), HELD_BLOCK)
  await store.close()
}

interface Plan {
  work: string
  template: keyof typeof templates
  isInSteps?: true
}

const SCENARIOS: Record<string, Plan> = {
  'an add': { work: 'add', template: 'held' },
  'an import': { work: 'import', template: 'held' },
  'a gc': { work: 'gc', template: 'held', isInSteps: true },
  'a remove': { work: 'remove', template: 'held', isInSteps: true },
  'a rebuild without an index': { work: 'rebuild', template: 'unindexed' },
  'an open without index and journal': { work: 'open', template: 'lost' },
  'the making of a store': { work: 'open', template: 'none' },
}

describe.each(Object.entries(SCENARIOS))('%s', (_what, { work, template, isInSteps = false }) => {
  let rehearsed: Rehearsed

  beforeAll(async () => {
    if ('reason' in disk) return
    rehearsed = await rehearse(disk, { name: work, template: templates[template], folder, isInSteps })
  })

  it.for(Object.entries(DRILLS))('that %s', async ([what, fault], { skip }) => {
    if ('reason' in disk) {
      skip(disk.reason)
      return
    }
    const started = performance.now()
    const { violations, ...counts } = await drill(disk, rehearsed, fault)
    if (soak(false, true)) {
      const seconds = ((performance.now() - started) / 1000).toFixed(0)
      console.info(`${work} on ${template}, ${what}: ${JSON.stringify(counts)}, ${seconds} s`)
    }
    expect(violations).toEqual([])
    expect(counts.hit).toBeGreaterThan(0.8 * counts.tried)
  })
})

it('a commit that can be neither synced nor taken back is found whole or not at all', async ({ skip }) => {
  if ('reason' in disk) {
    skip(disk.reason)
    return
  }
  const rehearsed = await rehearse(disk, { name: 'add', template: templates.held, folder, isInSteps: false })
  // Files can still be removed: what the journal may say is there must not be.
  const fault: Drill = { calls: ['fsync', 'fdatasync', 'ftruncate'], effect: 'EIO', most: all }
  const { violations, hit, after } = await drill(disk, rehearsed, fault)
  expect(violations).toEqual([])
  expect(hit).toBeGreaterThan(0)
  expect(after).toBeGreaterThan(0)
})
