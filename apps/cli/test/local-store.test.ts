import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { encodeDagCbor, writeCar } from '@x/cid'
import { writeFixtureModel } from '@x/fixtures'
import { describe, expect, it } from 'vitest'

import { cli, temporaryDirectory, type CliOptions, type Outcome } from './harness.ts'

const HELLO = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
const ABSENT = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const MANY_BYTES = 300_000

interface Place {
  folder: string
  store: string
  /** A file with these bytes; gives its path. */
  write: (name: string, bytes: string | Uint8Array) => Promise<string>
  /** A file of `MANY_BYTES`, and its root in the store. */
  addLarge: (seed: number, ...flags: string[]) => Promise<string>
  /** With `--json` and `--store`. */
  run: (argv: readonly string[], options?: CliOptions) => Promise<Outcome>
}

async function place(): Promise<Place> {
  const folder = await temporaryDirectory()
  const store = path.join(folder, 'store')
  const run: Place['run'] = (argv, options) => cli([...argv, '--json', '--store', store], options)
  const write: Place['write'] = async (name, bytes) => {
    const file = path.join(folder, name)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, bytes)
    return file
  }
  return {
    folder,
    store,
    run,
    write,
    addLarge: async (seed, ...flags) => {
      const { code, lines } = await run(['add', await write(`large-${seed}`, largeBytes(seed)), ...flags])
      expect(code).toBe(0)
      return String(lines[0]?.['cid'])
    },
  }
}

/** Without a pattern that would make two of its leaves alike. */
function largeBytes(seed: number, length = MANY_BYTES): Buffer {
  let state = seed + 1
  return Buffer.from(Array.from({ length }, () => (state = (state * 48_271) % 2_147_483_647) & 255))
}

const heldBytes = async ({ run }: Place): Promise<unknown> => {
  const { lines } = await run(['status'])
  return Reflect.get(Object([lines[0]?.['backends']].flat()[0]), 'details')?.bytes
}

/** Changes the last byte of the one stored file of this size. */
async function damage(store: string, size: number): Promise<void> {
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name)
    const bytes = entry.isFile() ? await readFile(file) : undefined
    if (bytes?.length !== size) continue
    bytes.writeUInt8(bytes.readUInt8(size - 1) ^ 1, size - 1)
    await rm(file)
    await writeFile(file, bytes)
    return
  }
  throw new Error(`no file of ${size} bytes lies in the store`)
}

describe('stat', () => {
  it('says what a root is, and how it is kept', async () => {
    const { run, write } = await place()
    await run(['add', await write('hello', 'hello world'), '--name', 'greetings/hello'])
    const { code, lines } = await run(['stat', HELLO])
    expect(code).toBe(0)
    expect(lines).toEqual([
      {
        cid: HELLO,
        type: 'file',
        size: 11,
        root: { pinned: true, names: ['greetings/hello'], addedAt: expect.stringMatching(/^\d{4}-.*Z$/) },
      },
    ])
  })

  it('says what lies below a root', async () => {
    const { run, write, folder, store } = await place()
    await write('tree/sub/a', 'hello world')
    await symlink('sub/a', path.join(folder, 'tree', 'link'))
    const added = await run(['add', path.join(folder, 'tree'), '--no-pin'])
    const root = String(added.lines[0]?.['cid'])
    expect((await run(['stat', root])).lines).toMatchObject([{ type: 'directory', size: 11, root: { pinned: false } }])
    expect((await run(['stat', `${root}/sub/a`])).lines).toEqual([{ cid: HELLO, type: 'file', size: 11, root: null }])
    expect((await run(['stat', `ipfs://${root}/link`])).lines).toMatchObject([{ type: 'symlink', target: 'sub/a' }])
    const human = await cli(['stat', `${root}/link`, '--store', store])
    expect(human.stdout).toMatch(/^type +symlink$/m)
    expect(human.stdout).toMatch(/^target +sub\/a$/m)
    expect(await run(['stat', `${root}/no`])).toMatchObject({ code: 3, error: { code: 'NOT_FOUND' } })
  })
})

describe('pin', () => {
  it('adds, lists and takes away', async () => {
    const here = await place()
    const { run, addLarge } = here
    const [one, two] = [await addLarge(1, '--no-pin'), await addLarge(2, '--no-pin')]
    expect((await run(['pin', 'ls'])).lines).toEqual([])
    expect(await run(['pin', 'add', one, two])).toMatchObject({
      code: 0,
      lines: [
        { cid: one, pinned: true },
        { cid: two, pinned: true },
      ],
    })
    const { lines } = await run(['pin', 'ls'])
    expect(new Set(lines.map(({ cid }) => cid))).toEqual(new Set([one, two]))
    expect(lines[0]?.['pinnedAt']).toMatch(/^\d{4}-.*Z$/)
    expect(await run(['pin', 'rm', one])).toMatchObject({ code: 0, lines: [{ cid: one, pinned: false }] })
    expect((await run(['pin', 'ls'])).lines).toMatchObject([{ cid: two }])
    expect((await run(['gc'])).lines).toMatchObject([{ roots: [one] }])
  })

  it('refuses what is not there, and takes away all or none', async () => {
    const { run, addLarge } = await place()
    const [pinned, unpinned] = [await addLarge(1), await addLarge(2, '--no-pin')]
    expect(await run(['pin', 'add', ABSENT])).toMatchObject({ code: 3, error: { code: 'NOT_FOUND', cid: ABSENT } })
    expect(await run(['pin', 'rm', pinned, unpinned])).toMatchObject({
      code: 3,
      lines: [],
      error: { code: 'NOT_FOUND', cid: unpinned },
    })
    expect((await run(['pin', 'ls'])).lines).toMatchObject([{ cid: pinned }])
  })
})

describe('rm', () => {
  it('forgets a root with its pin and names, and says what became of the space', async () => {
    const here = await place()
    const { run, addLarge } = here
    const [gone, kept] = [await addLarge(1, '--name', 'a/gone'), await addLarge(2)]
    expect(await heldBytes(here)).toBe(2 * MANY_BYTES)
    expect((await run(['rm', gone])).lines).toEqual([
      { cid: gone, names: ['a/gone'], storeBytesBefore: 2 * MANY_BYTES, storeBytes: MANY_BYTES },
    ])
    expect(await heldBytes(here)).toBe(MANY_BYTES)
    expect(await run(['cat', gone])).toMatchObject({ code: 3, error: { code: 'NOT_FOUND' } })
    expect((await run(['ls'])).lines).toMatchObject([{ cid: kept }])
    expect(await run(['rm', gone])).toMatchObject({ code: 3, lines: [], error: { cid: gone } })
  })

  it('leaves what another root needs, and everything when one of several is no root', async () => {
    const { run, write, folder } = await place()
    await write('tree/hello', 'hello world')
    const added = await run(['add', path.join(folder, 'tree'), path.join(folder, 'tree', 'hello')])
    const root = String(added.lines[0]?.['cid'])
    expect(await run(['rm', HELLO, ABSENT])).toMatchObject({ code: 3, lines: [], error: { cid: ABSENT } })
    expect((await run(['ls'])).lines).toHaveLength(2)
    expect(await run(['rm', HELLO, HELLO])).toMatchObject({ code: 0, lines: [{ cid: HELLO }] })
    expect((await cli(['cat', `${root}/hello`, '--store', path.join(folder, 'store')])).stdout).toBe('hello world')
  })

  it('takes what a name keeps that is no root', async () => {
    const { run, write } = await place()
    const block = await encodeDagCbor({ hello: 'world' })
    const pieces: Uint8Array[] = []
    for await (const piece of writeCar(async () => block.bytes, block.cid)) pieces.push(piece)
    const car = await write('data.car', Buffer.concat(pieces))
    expect((await run(['car', 'import', car, '--name', 'a/b'])).lines).toMatchObject([{ roots: [`${block.cid}`] }])
    await run(['pin', 'rm', `${block.cid}`])
    expect((await run(['rm', `${block.cid}`])).lines).toMatchObject([{ cid: `${block.cid}`, names: ['a/b'] }])
    expect((await run(['rm', `${block.cid}`])).code).toBe(3)
    expect((await run(['car', 'export', `${block.cid}`, '-o', `${car}.out`])).code).toBe(3)
  })

  it('leaves nothing of a model', async () => {
    const here = await place()
    const { run, folder } = here
    await writeFixtureModel('tiny-bert', path.join(folder, 'model'))
    const { lines } = await run(['model', 'add', path.join(folder, 'model'), '--name', 'a/model'])
    expect((await run(['rm', String(lines[0]?.['cid'])])).lines).toMatchObject([{ names: ['a/model'] }])
    await run(['gc'])
    expect(await heldBytes(here)).toBe(0)
    const left = await readdir(path.join(here.store, 'blocks'), { recursive: true, withFileTypes: true })
    expect(left.filter((entry) => entry.isFile())).toEqual([])
  })
})

describe('gc', () => {
  it('lets the manifest of a model go that nobody keeps', async () => {
    const here = await place()
    await writeFixtureModel('tiny-bert', path.join(here.folder, 'model'))
    await here.run(['model', 'add', path.join(here.folder, 'model'), '--no-pin'])
    await here.run(['gc'])
    expect(await heldBytes(here)).toBe(0)
    expect((await here.run(['rebuild'])).lines).toMatchObject([{ roots: 0, names: 0 }])
  })

  it('says with --dry-run what it would free of a model that nobody keeps, its manifest too', async () => {
    const here = await place()
    await writeFixtureModel('tiny-bert', path.join(here.folder, 'model'))
    await here.run(['model', 'add', path.join(here.folder, 'model'), '--no-pin'])
    const before = await heldBytes(here)
    const dry = await here.run(['gc', '--dry-run'])
    expect(await heldBytes(here)).toBe(before)
    expect((await here.run(['gc'])).lines).toEqual([{ ...dry.lines[0], dryRun: false }])
    expect(await heldBytes(here)).toBe(0)
  })

  it('says with --dry-run what it would free, and frees nothing', async () => {
    const here = await place()
    const { run, addLarge, store } = here
    const [loose, kept] = [await addLarge(1, '--no-pin'), await addLarge(2)]
    const dry = await run(['gc', '--dry-run'])
    expect(dry.lines).toEqual([
      { dryRun: true, roots: [loose], blocks: expect.any(Number), freedBytes: expect.any(Number) },
    ])
    expect(Number(dry.lines[0]?.['freedBytes'])).toBeGreaterThanOrEqual(MANY_BYTES)
    expect(await heldBytes(here)).toBe(2 * MANY_BYTES)
    expect((await cli(['cat', loose, '--store', store])).bytes).toHaveLength(MANY_BYTES)
    const human = await cli(['gc', '--dry-run', '--store', store])
    expect(human.stdout).toContain(`${loose}\nwould free 300.0 kB: 1 root, `)
    expect((await run(['gc'])).lines).toEqual([{ ...dry.lines[0], dryRun: false }])
    expect(await heldBytes(here)).toBe(MANY_BYTES)
    expect(await run(['cat', loose])).toMatchObject({ code: 3, error: { code: 'NOT_FOUND' } })
    expect((await run(['ls'])).lines).toMatchObject([{ cid: kept }])
  })
})

describe('verify', () => {
  it('of a path names the path, for the rest was not hashed', async () => {
    const { run, write, folder } = await place()
    await write('tree/a', 'a')
    await write('tree/sub/b', 'bb')
    const { lines } = await run(['add', path.join(folder, 'tree')])
    const cid = String(lines[0]?.['cid'])
    expect((await run(['verify', `${cid}/sub`])).lines).toEqual([{ cid, path: 'sub', ok: true, checked: 2 }])
    expect((await run(['verify', cid])).lines).toEqual([{ cid, ok: true, checked: 3 }])
  })
})

describe('verify --all', () => {
  it('goes on after damage, names it, and exits 4', async () => {
    const here = await place()
    const { run, addLarge, write, store } = here
    const whole = [await addLarge(1), await addLarge(2)]
    const damaged = String((await run(['add', await write('bad', Buffer.alloc(200_000, 5))])).lines[0]?.['cid'])
    expect((await run(['verify', '--all'])).lines).toHaveLength(3)
    await damage(store, 200_000)
    const { code, lines, error } = await run(['verify', '--all'])
    expect(code).toBe(4)
    expect(error).toMatchObject({ code: 'INTEGRITY', cid: damaged })
    expect(new Set(lines.map(({ cid }) => cid))).toEqual(new Set(whole))
  })
})

describe('car', () => {
  it.each(['kubo-v1', 'unixfs-v0-2015'])('brings a tree of %s into another store, with a name', async (profile) => {
    const [from, to] = [await place(), await place()]
    await from.write('tree/sub/large', largeBytes(1, 3_000_000))
    await from.write('tree/small', 'hello world')
    const added = await from.run(['add', path.join(from.folder, 'tree'), '--profile', profile])
    const root = String(added.lines[0]?.['cid'])
    const exported = await cli(['car', 'export', root, '--store', from.store])
    expect(exported).toMatchObject({ code: 0, stderr: '' })

    const file = path.join(from.folder, 'tree.car')
    const written = await from.run(['car', 'export', root, '-o', file])
    expect(written.lines).toEqual([{ cid: root, path: file, size: exported.bytes.length }])
    expect(exported.bytes.equals(await readFile(file))).toBe(true)

    const piped = await to.run(['car', 'import', '-', '--no-pin'], { stdin: exported.bytes })
    expect(piped.lines).toMatchObject([{ path: '-', roots: [root], blocks: expect.any(Number) }])
    expect((await to.run(['stat', root])).lines).toMatchObject([
      { size: 3_000_011, root: { pinned: false, names: [] } },
    ])
    const imported = await to.run(['car', 'import', file, '--name', 'a/tree'])
    expect(imported.lines).toEqual([{ ...piped.lines[0], path: file }])
    expect((await to.run(['stat', root])).lines).toMatchObject([{ root: { pinned: true, names: ['a/tree'] } }])
    const got = await cli(['cat', `${root}/sub/large`, '--store', to.store])
    expect(got.bytes.equals(largeBytes(1, 3_000_000))).toBe(true)
  })

  it('replaces a file only with --force, and nothing but a file', async () => {
    const { run, write, addLarge, folder } = await place()
    const root = await addLarge(1)
    const file = await write('there', 'mine')
    expect(await run(['car', 'export', root, '-o', file])).toMatchObject({ code: 2, error: { input: file } })
    expect(await readFile(file, 'utf8')).toBe('mine')
    expect(await run(['car', 'export', root, '-o', file, '--force'])).toMatchObject({ code: 0 })
    expect((await readFile(file)).length).toBeGreaterThan(MANY_BYTES)
    await mkdir(path.join(folder, 'directory'))
    expect(await run(['car', 'export', root, '-o', path.join(folder, 'directory'), '--force'])).toMatchObject({
      code: 2,
    })
  })

  it('leaves no file where the root is absent or damaged', async () => {
    const { run, folder, addLarge, store } = await place()
    const root = await addLarge(1)
    const out = path.join(folder, 'out')
    await mkdir(out)
    expect(await run(['car', 'export', ABSENT, '-o', path.join(out, 'x.car')])).toMatchObject({
      code: 3,
      error: { code: 'NOT_FOUND', cid: ABSENT },
    })
    expect(await readdir(out)).toEqual([])
    expect(await run(['car', 'export', ABSENT])).toMatchObject({ code: 3, stdout: '' })
    await damage(store, MANY_BYTES)
    expect(await run(['car', 'export', root, '-o', path.join(out, 'x.car')])).toMatchObject({ code: 4, lines: [] })
    expect(await readdir(out)).toEqual([])
  })

  it('takes no CAR that is damaged, cut off or none at all', async () => {
    const [from, to] = [await place(), await place()]
    const root = await from.addLarge(1)
    const { bytes } = await cli(['car', 'export', root, '--store', from.store])
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(bytes.length - 7) ^ 1, bytes.length - 7)
    for (const [stdin, code, name] of [
      [flipped, 4, 'INTEGRITY'],
      [bytes.subarray(0, -7), 2, 'INVALID_INPUT'],
      [Buffer.from('{"not":"a CAR"}'), 2, 'INVALID_INPUT'],
      [Buffer.alloc(0), 2, 'INVALID_INPUT'],
    ] as const) {
      expect(await to.run(['car', 'import', '-'], { stdin })).toMatchObject({ code, lines: [], error: { code: name } })
    }
    expect((await to.run(['ls'])).lines).toEqual([])
    expect(await to.run(['car', 'import', path.join(to.folder, 'no.car')])).toMatchObject({ code: 3 })
    expect(await to.run(['car', 'import', to.folder])).toMatchObject({ code: 2, error: { input: to.folder } })
  })

  it('writes no CAR to a terminal', async () => {
    const { run, addLarge } = await place()
    const root = await addLarge(1)
    const { code, stdout, error } = await run(['car', 'export', root], { terminals: ['stdout'] })
    expect({ code, stdout, error }).toMatchObject({ code: 2, stdout: '', error: { code: 'USAGE' } })
  })
})

describe('rebuild', () => {
  it('makes the index anew and keeps pins and names', async () => {
    const { run, addLarge } = await place()
    const [named, loose] = [await addLarge(1, '--name', 'a/b'), await addLarge(2, '--no-pin')]
    expect((await run(['rebuild'])).lines).toEqual([{ roots: 2, pins: 1, names: 1, pinned: [], warnings: [] }])
    expect((await run(['stat', named])).lines).toMatchObject([{ root: { pinned: true, names: ['a/b'] } }])
    expect((await run(['stat', loose])).lines).toMatchObject([{ root: { pinned: false } }])
  })

  it('says so when it is lost what was pinned and named', async () => {
    const { run, addLarge, store } = await place()
    await addLarge(1, '--name', 'a/b')
    await addLarge(2, '--no-pin')
    for (const name of await readdir(store)) {
      if (/^(?:index|journal)/.test(name)) await rm(path.join(store, name), { recursive: true })
    }
    const { lines, stderr } = await run(['rebuild'])
    expect(lines).toMatchObject([{ roots: 2, pins: 2, names: 0 }])
    expect(lines[0]?.['warnings']).toEqual([expect.stringMatching(/all 2 are pinned now; names are lost/)])
    expect(stderr).toContain('{"warning":"which roots were pinned is not known any more')
    expect((await run(['gc', '--dry-run'])).lines).toMatchObject([{ roots: [] }])
  })
})

describe('add', () => {
  it('leaves a file where it is with --mode reference, and notices when it changes', async () => {
    const here = await place()
    const { run, write, store } = here
    const file = await write('large', largeBytes(1))
    const copied = await run(['add', file, '--only-hash'])
    const { lines } = await run(['add', file, '--mode', 'reference'])
    expect(lines).toEqual(copied.lines)
    expect(await heldBytes(here)).toBe(0)
    const root = String(lines[0]?.['cid'])
    expect((await cli(['cat', root, '--store', store])).bytes.equals(largeBytes(1))).toBe(true)
    await writeFile(file, largeBytes(2))
    expect(await run(['cat', root])).toMatchObject({ code: 4, error: { code: 'INTEGRITY' } })
  })

  it('shares the bytes on disk with --mode reflink', async (context) => {
    const { run, write } = await place()
    const { code, error } = await run(['add', await write('large', largeBytes(1)), '--mode', 'reflink'])
    const { lines } = await run(['verify'])
    if (code === 1 && error?.['code'] === 'UNSUPPORTED' && lines.length === 0) {
      context.skip('this file system shares no bytes between files')
    }
    expect(code).toBe(0)
    expect(lines).toMatchObject([{ ok: true, checked: MANY_BYTES }])
  })

  it('hashes a tree without a store as it would add it', async () => {
    const { run, write, folder, store } = await place()
    await write('tree/large', largeBytes(1, 3_000_000))
    await write('tree/sub/small', 'hello world')
    await write('tree/.hidden', 'h')
    const tree = path.join(folder, 'tree')
    for (const profile of ['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1']) {
      const hashed = await run(['add', tree, '--only-hash', '--profile', profile])
      expect(existsSync(store)).toBe(false)
      expect((await run(['add', tree, '--profile', profile])).lines).toEqual(hashed.lines)
      await rm(store, { recursive: true })
    }
  })

  it('makes room below --max-bytes from what is not pinned, and says so', async () => {
    const { run, addLarge, write } = await place()
    const loose = await addLarge(1, '--no-pin')
    const next = await run(['add', await write('next', largeBytes(2)), '--max-bytes', '400000'])
    expect(next.code).toBe(0)
    expect(next.stderr).toContain('"warning":"removed 1 roots')
    expect(await run(['stat', loose])).toMatchObject({ code: 3 })
    expect((await run(['ls'])).lines).toMatchObject([{ cid: next.lines[0]?.['cid'] }])
    const last = await run(['add', await write('last', largeBytes(3)), '--max-bytes', '400000'])
    expect(last).toMatchObject({ code: 1, lines: [], error: { code: 'NO_SPACE' } })
  })
})

describe('the command line', () => {
  it.each([
    ['stat', HELLO],
    ['verify', '--all'],
    ['rm', HELLO],
    ['pin', 'add', HELLO],
    ['pin', 'rm', HELLO],
    ['pin', 'ls'],
    ['gc'],
    ['car', 'export', HELLO],
    ['rebuild'],
  ])('%s %s makes no store of a --store that is none', async (...argv) => {
    const { run, store } = await place()
    expect(await run(argv)).toMatchObject({ code: 3, error: { code: 'NOT_FOUND', what: store } })
    expect(existsSync(store)).toBe(false)
    await mkdir(store)
    expect(await run(argv)).toMatchObject({ code: 3, error: { code: 'NOT_FOUND' } })
    expect(await readdir(store)).toEqual([])
  })

  const cases: [argv: string[], code: number, named: string][] = [
    [['pin'], 2, 'pin add, pin rm, pin ls'],
    [['pin', 'foo'], 2, '"pin foo"'],
    [['car'], 2, 'car export, car import'],
    [['pin', 'add'], 2, 'a CID is wanted'],
    [['pin', 'rm'], 2, 'a CID is wanted'],
    [['rm'], 2, 'a CID is wanted'],
    [['stat'], 2, 'CID[/path]'],
    [['car', 'export'], 2, 'CID'],
    [['car', 'export', HELLO, HELLO], 2, 'CID'],
    [['car', 'export', HELLO, '-o', ''], 2, '-o'],
    [['car', 'export', HELLO, '--force'], 2, '--force'],
    [['car', 'import'], 2, 'CAR file'],
    [['car', 'import', 'x', '--name', '.x'], 2, '.x'],
    [['pin', 'ls', 'x'], 2, 'x'],
    [['gc', 'x'], 2, 'x'],
    [['rebuild', 'x'], 2, 'x'],
    [['pin', 'add', 'no-cid'], 2, 'no-cid'],
    [['rm', `${HELLO}/x`], 2, 'without a path'],
    [['verify', '--all', HELLO], 2, '--all'],
    [['gc', '--all'], 2, '--all'],
    [['stat', ABSENT], 3, ABSENT],
    [['pin', 'add', ABSENT], 3, ABSENT],
    [['rm', ABSENT], 3, ABSENT],
    [['car', 'export', ABSENT], 3, ABSENT],
    [['add', 'x', '--mode', 'move'], 2, 'move'],
    [['add', '-', '--mode', 'reference'], 2, '-'],
    [['add', 'x', '--only-hash', '--mode', 'copy'], 2, '--mode'],
    [['add', '-', '--max-bytes', 'many'], 2, 'many'],
  ]
  it.each(cases)('%j exits %i and names %s', async (argv, code, named) => {
    const { run, write } = await place()
    await run(['add', await write('hello', 'hello world')])
    const outcome = await run(argv)
    expect(outcome).toMatchObject({ code, lines: [] })
    expect(outcome.error?.['message']).toContain(named)
    expect((await run(['ls'])).lines).toMatchObject([{ cid: HELLO, pinned: true }])
  })

  it('helps with every command, and says what reference means', async () => {
    const { stdout } = await cli(['--help'])
    const names = stdout.match(/^ {2}[a-z]+(?: [a-z]+)?/gm)?.map((name) => name.trim()) ?? []
    expect(names).toEqual(expect.arrayContaining(['pin add', 'car export', 'gc', 'rebuild', 'stat', 'rm']))
    for (const name of names.filter((text) => text !== 'exit codes')) {
      const help = await cli([...name.split(' '), '--help'])
      expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining(`usage: ipfs-accelerate ${name}`) })
    }
    expect((await cli(['add', '--help'])).stdout).toMatch(/--mode reference, files over 64 KiB are not copied/)
  })
})

it('no name out of a directory reaches the terminal as it is', async () => {
  const { folder, store, write } = await place()
  const hostile = 'a\u001B[2J\rb'
  await write(`tree/${hostile}`, 'bytes')
  await symlink(`to-${hostile}`, path.join(folder, 'tree', `link${hostile}`))
  const run = (argv: readonly string[]): Promise<Outcome> => cli([...argv, '--store', store])
  const added = await cli(['add', path.join(folder, 'tree'), '--json', '--store', store])
  const root = String(added.lines[0]?.['cid'])
  const car = path.join(folder, `${hostile}.car`)
  const outcomes = [
    await run(['add', path.join(folder, 'tree')]),
    await run(['ls', root]),
    await run(['stat', `${root}/${hostile}`]),
    await run(['stat', `${root}/link${hostile}`]),
    await run(['stat', `${root}/no${hostile}`]),
    await run(['verify', `${root}/${hostile}`]),
    await run(['get', root, '-o', path.join(folder, `out${hostile}`)]),
    await run(['car', 'export', root, '-o', car]),
    await run(['car', 'import', car]),
    await run(['car', 'import', `no${car}`]),
    await run(['car', 'import', await write(`bad${hostile}`, 'no CAR')]),
    await run(['rm', root]),
  ]
  for (const { stdout, stderr } of outcomes) {
    expect(Array.from(stdout + stderr).filter((one) => one !== '\n' && (one < ' ' || one === '\u007F'))).toEqual([])
  }
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0, 3, 0, 0, 0, 0, 3, 2, 0])
})
