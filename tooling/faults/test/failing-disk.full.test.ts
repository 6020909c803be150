import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'

import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'

import { openFailingDisk, readCalls, type FailingDisk, type Fault, type FaultCall } from '../failing-disk.ts'

const script = fileURLToPath(new URL('children/write-files.mjs', import.meta.url))

let disk: FailingDisk

beforeEach(async (context) => {
  const opened = await openFailingDisk()
  if ('reason' in opened) {
    context.skip(opened.reason)
    return
  }
  disk = opened
})

interface Scene {
  directory: string
  log: string
}

async function openScene(): Promise<Scene> {
  const path = await mkdtemp(join(tmpdir(), 'faults-'))
  onTestFinished(() => rm(path, { recursive: true }))
  const directory = join(path, 'inside')
  await mkdir(join(directory, 'tree'), { recursive: true })
  await writeFile(join(directory, 'seed'), '0123456789')
  await writeFile(join(directory, 'tree', 'leaf'), 'leaf')
  return { directory, log: join(path, 'log') }
}

function runIn(directory: string, steps: readonly string[], fault: Fault) {
  const { stdout, stderr, signal, status } = spawnSync(process.execPath, [script, directory, ...steps], {
    env: disk.env(fault),
    encoding: 'utf8',
  })
  return { outcomes: stdout.split('\n').filter(Boolean), stderr, signal, status }
}

const run = (scene: Scene, steps: readonly string[], fault: Omit<Fault, 'directory' | 'log'> = {}) =>
  runIn(scene.directory, steps, { ...fault, ...scene })

describe('a call fails', () => {
  it.each<[string, FaultCall]>([
    ['create', 'create'],
    ['create', 'open'],
    ['write', 'write'],
    ['write-sync', 'write'],
    ['writev', 'write'],
    ['pwrite', 'pwrite'],
    ['pwritev', 'pwrite'],
    ['read', 'read'],
    ['read-file', 'read'],
    ['pread', 'pread'],
    ['readv', 'pread'],
    ['fsync', 'fsync'],
    ['fsync-directory', 'fsync'],
    ['fdatasync', 'fdatasync'],
    ['ftruncate', 'ftruncate'],
    ['rename', 'rename'],
    ['link', 'link'],
    ['symlink', 'symlink'],
    ['unlink', 'unlink'],
    ['rm-tree', 'unlink'],
    ['mkdir', 'mkdir'],
    ['relative', 'mkdir'],
    ['chmod', 'chmod'],
    ['clone', 'ficlone'],
  ])('%s, by %s', async (step, call) => {
    const scene = await openScene()
    expect(run(scene, [step], { calls: [call], effect: 'EDQUOT' }).outcomes).toEqual([`${step} EDQUOT`])
    const calls = await readCalls(scene.log)
    expect(new Set(calls.map((logged) => logged.call))).toEqual(new Set([call]))
  })

  it('rmSync, whose error has no code', async () => {
    const scene = await openScene()
    expect(run(scene, ['rm-sync'], { calls: ['unlink'], effect: 'EIO' }).outcomes).toEqual(['rm-sync '])
    expect(await readdir(scene.directory)).toContain('seed')
  })

  it('copyFile, by copy_file_range and then by sendfile', async () => {
    const scene = await openScene()
    const calls = ['copy_file_range', 'sendfile'] as const
    expect(run(scene, ['copy'], { calls, effect: 'ENOSPC' }).outcomes).toEqual(['copy ENOSPC'])
    expect(run(scene, ['copy'], { calls, effect: 'EXDEV', count: 1 }).outcomes).toEqual(['copy ok'])
    expect((await readCalls(scene.log)).map(({ call }) => call)).toEqual([
      'copy_file_range',
      'copy_file_range',
      'sendfile',
    ])
    expect(await readFile(join(scene.directory, 'copied'), 'utf8')).toBe('0123456789')
  })

  it.each(['ENOSPC', 'EIO', 'EMFILE', 'EDQUOT', 'EROFS'] as const)('with %s, and does nothing', async (effect) => {
    const scene = await openScene()
    const { outcomes } = run(scene, ['mkdir', 'rename', 'unlink', 'create'], { effect })
    expect(outcomes).toEqual([`mkdir ${effect}`, `rename ${effect}`, `unlink ${effect}`, `create ${effect}`])
    expect((await readdir(scene.directory)).toSorted()).toEqual(['seed', 'tree'])
  })

  it('from the nth on, as often as was said', async () => {
    const scene = await openScene()
    const steps = ['write', 'write', 'write', 'write']
    const outcomes = ['write ok', 'write ENOSPC', 'write ENOSPC', 'write ok']
    expect(run(scene, steps, { calls: ['write'], effect: 'ENOSPC', after: 1, count: 2 }).outcomes).toEqual(outcomes)
    expect(await readCalls(scene.log)).toHaveLength(4)
  })

  it('below its directory alone, whatever way the path takes there', async () => {
    const [scene, other] = [await openScene(), await openScene()]
    const fault: Fault = { directory: scene.directory, effect: 'EIO' }
    expect(runIn(other.directory, ['write', 'rename', 'mkdir'], fault).outcomes).toEqual([
      'write ok',
      'rename ok',
      'mkdir ok',
    ])
    const pointer = `${other.log}-pointer`
    await symlink(scene.directory, pointer)
    for (const way of [pointer, `${other.directory}/../../${scene.directory.split('/').slice(-2).join('/')}/.`]) {
      expect(runIn(way, ['write', 'rename', 'mkdir'], fault).outcomes).toEqual(['write EIO', 'rename EIO', 'mkdir EIO'])
    }
    // A neighbour whose name only begins the same.
    const neighbour = `${scene.directory}-too`
    await mkdir(neighbour)
    expect(runIn(neighbour, ['write'], fault).outcomes).toEqual(['write ok'])
  })

  it('in threads: each is counted once', async () => {
    const scene = await openScene()
    const { outcomes } = run(scene, ['threads'], { calls: ['mkdir'], effect: 'EIO', after: 20, count: 7 })
    expect(outcomes).toEqual(['threads 7 failed'])
    expect(new Set((await readCalls(scene.log)).map(({ path }) => path)).size).toBe(200)
  })

  it('or nothing does, and it is only counted', async () => {
    const scene = await openScene()
    const { outcomes } = run(scene, ['mkdir', 'rename'])
    expect(outcomes).toEqual(['mkdir ok', 'rename ok'])
    expect(await readCalls(scene.log)).toEqual([
      { call: 'mkdir', path: join(scene.directory, 'made') },
      { call: 'rename', path: join(scene.directory, 'seed'), to: join(scene.directory, 'renamed') },
    ])
  })

  it('is not left out silently when its name is not known', async () => {
    const scene = await openScene()
    const fault: Fault = { directory: scene.directory }
    for (const wrong of [{ FAULT_CALLS: 'wirte' }, { FAULT_ERRNO: 'ENOPE' }, { FAULT_AFTER: '-1' }]) {
      const { status, stderr } = spawnSync(process.execPath, ['-e', '0'], {
        env: { ...disk.env(fault), ...wrong },
        encoding: 'utf8',
      })
      expect(status).toBe(97)
      expect(stderr).toContain(Object.keys(wrong)[0])
    }
  })
})

describe('a call moves half of the bytes', () => {
  it.each([
    ['read', 'read 5'],
    ['pread', 'pread 5'],
    ['readv', 'readv 5'],
  ])('%s', async (step, outcome) => {
    expect(run(await openScene(), [step], { effect: 'short' }).outcomes).toEqual([outcome])
  })

  // libuv writes on by itself, until a call fails.
  it.each([
    ['write-once', 'write-once 500'],
    ['pwrite', 'pwrite 500'],
    ['writev', 'writev 1000'],
    ['pwritev', 'pwritev 1000'],
    ['write', 'write ENOSPC'],
  ])('%s, and there is no room for the other half', async (step, outcome) => {
    const scene = await openScene()
    const calls = ['write', 'pwrite'] as const
    expect(run(scene, [step], { calls, effect: 'ENOSPC', halfFirst: true }).outcomes).toEqual([outcome])
  })

  it('and who writes on has it all in the end', async () => {
    const scene = await openScene()
    expect(run(scene, ['write', 'copy'], { effect: 'short' }).outcomes).toEqual(['write ok', 'copy ok'])
    expect((await readCalls(scene.log)).filter(({ call }) => call === 'write').length).toBeGreaterThan(2)
    expect((await stat(join(scene.directory, 'written'))).size).toBe(1000)
    expect(await readFile(join(scene.directory, 'copied'), 'utf8')).toBe('0123456789')
  })
})

describe('the process is killed', () => {
  it('at each call of a run in turn, before that call', async () => {
    const steps = ['write', 'fsync', 'link', 'rename', 'mkdir']
    const counted = await openScene()
    run(counted, steps)
    const all = (await readCalls(counted.log)).map(({ call }) => call)
    expect(all).toEqual(['create', 'write', 'open', 'fsync', 'link', 'rename', 'mkdir'])
    for (const after of all.keys()) {
      const scene = await openScene()
      expect(run(scene, steps, { effect: 'kill', after }).signal).toBe('SIGKILL')
      const calls = await readCalls(scene.log)
      expect(calls.map(({ call }) => call)).toEqual(all.slice(0, after + 1))
      const made = ['written', 'linked', 'renamed', 'made']
      const done = [after > 0, after > 4, after > 5, after > 6]
      const there = await readdir(scene.directory)
      expect(made.map((name) => there.includes(name))).toEqual(done)
    }
  })

  it('in the middle of a write', async () => {
    const scene = await openScene()
    expect(run(scene, ['write'], { calls: ['write'], effect: 'torn' }).signal).toBe('SIGKILL')
    expect((await stat(join(scene.directory, 'written'))).size).toBe(500)
  })
})

describe('SQLite', () => {
  const calls = ['pwrite', 'fsync', 'fdatasync', 'ftruncate', 'unlink'] as const

  it('finds the disk full', async () => {
    const SQLITE_FULL = 13
    const { outcomes } = run(await openScene(), ['sqlite', 'sqlite-wal'], { calls: ['pwrite'], effect: 'ENOSPC' })
    expect(outcomes).toEqual([`sqlite sqlite ${SQLITE_FULL}`, `sqlite-wal sqlite ${SQLITE_FULL}`])
  })

  it.each([
    ['sqlite', 'data.sqlite', 'kill'],
    ['sqlite', 'data.sqlite', 'torn'],
    ['sqlite-wal', 'wal.sqlite', 'torn'],
  ] as const)('%s is whole wherever it was killed: %s, %s', async (step, name, effect) => {
    const counted = await openScene()
    run(counted, [step], { calls })
    const count = (await readCalls(counted.log)).length
    expect(count).toBeGreaterThan(10)
    for (let after = 0; after < count; after++) {
      const scene = await openScene()
      expect(run(scene, [step], { calls, effect, after }).signal).toBe('SIGKILL')
      const database = new DatabaseSync(join(scene.directory, name))
      expect(database.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' })
      database.close()
    }
  })
})
