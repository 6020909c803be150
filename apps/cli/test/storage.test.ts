import { existsSync } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { describe, expect, it } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'

const HELLO = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
const HELLO_V0 = 'Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD'
const EMPTY_DIRECTORY = 'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354'

async function setup(): Promise<{ store: string; folder: string; hello: string }> {
  const folder = await temporaryDirectory()
  const hello = path.join(folder, 'hello.txt')
  await writeFile(hello, 'hello world')
  return { store: path.join(folder, 'store'), folder, hello }
}

/** Everything in a folder, without what an idle store may rewrite. */
async function snapshot(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted()
}

describe('add', () => {
  it('prints the published CID of a file, under each profile', async () => {
    const { store, hello } = await setup()
    for (const [profile, cid] of [
      ['unixfs-v1-2025', HELLO],
      ['unixfs-v0-2015', HELLO_V0],
      ['kubo-v1', HELLO],
    ]) {
      const { code, lines } = await cli(['add', hello, '--json', '--store', store, '--profile', profile ?? ''])
      expect(code).toBe(0)
      expect(lines).toEqual([{ path: hello, cid, size: 11 }])
    }
  })

  it('takes global options before the name, several paths, and standard input', async () => {
    const { store, hello } = await setup()
    const { code, lines } = await cli(['--json', '--store', store, 'add', hello, '-'], { stdin: 'hello world' })
    expect(code).toBe(0)
    expect(lines.map(({ path: from, cid }) => [from, cid])).toEqual([
      [hello, HELLO],
      ['-', HELLO],
    ])
  })

  it('takes an empty directory, keeps symlinks and leaves hidden files out, as Kubo does', async () => {
    const { store, folder } = await setup()
    const empty = path.join(folder, 'empty')
    const tree = path.join(folder, 'tree')
    await mkdir(empty)
    await mkdir(path.join(tree, 'sub'), { recursive: true })
    await writeFile(path.join(tree, 'sub', 'a.txt'), 'a')
    await writeFile(path.join(tree, '.hidden'), 'h')
    await symlink('sub/a.txt', path.join(tree, 'link'))
    const { lines } = await cli(['add', '--json', '--store', store, empty, tree])
    expect(lines[0]).toMatchObject({ cid: EMPTY_DIRECTORY, size: 0 })
    const root = String(lines[1]?.['cid'])
    const listed = await cli(['ls', root, '--json', '--store', store])
    expect(listed.lines).toMatchObject([
      { name: 'link', type: 'symlink', target: 'sub/a.txt' },
      { name: 'sub', type: 'directory' },
    ])
    const out = path.join(folder, 'out')
    const got = await cli(['get', root, '-o', out, '--json', '--store', store])
    expect(got.lines).toEqual([{ cid: root, path: out, size: 1 }])
    expect(await readFile(path.join(out, 'sub', 'a.txt'), 'utf8')).toBe('a')
    expect(await readlink(path.join(out, 'link'))).toBe('sub/a.txt')
  })

  it('stores nothing with --only-hash', async () => {
    const { store, hello } = await setup()
    const { lines } = await cli(['add', hello, '--only-hash', '--json', '--store', store])
    expect(lines).toEqual([{ path: hello, cid: HELLO, size: 11 }])
    expect(await snapshot(store)).toEqual([])
  })

  it('names and pins, unless told not to', async () => {
    const { store, hello, folder } = await setup()
    const other = path.join(folder, 'other')
    await writeFile(other, 'other')
    await cli(['add', hello, '--name', 'greetings/hello', '--store', store])
    await cli(['add', other, '--no-pin', '--store', store])
    const { lines } = await cli(['ls', '--json', '--store', store])
    expect(lines).toHaveLength(2)
    expect(lines.find(({ cid }) => cid === HELLO)).toMatchObject({ name: 'greetings/hello', size: 11, pinned: true })
    expect(lines.find(({ cid }) => cid !== HELLO)).toMatchObject({ name: null, pinned: false })
    expect(Date.parse(String(lines[0]?.['addedAt']))).toBeGreaterThan(0)
  })
})

describe('cat', () => {
  it('writes raw bytes and ranges of them', async () => {
    const { store, folder } = await setup()
    const bytes = Buffer.from(Array.from({ length: 2_500_000 }, (_, index) => (index * 7919) & 255))
    await mkdir(path.join(folder, 'd'))
    await writeFile(path.join(folder, 'd', 'big'), bytes)
    const { lines } = await cli(['add', path.join(folder, 'd'), '--json', '--store', store])
    const target = `${String(lines[0]?.['cid'])}/big`
    for (const [flags, from, to] of [
      [[], 0, bytes.length],
      [['--offset', '1048570', '--length', '20'], 1_048_570, 1_048_590],
      [['--offset', '2499999'], 2_499_999, 2_500_000],
      [['--offset', '9999999'], 0, 0],
    ] as const) {
      const { code, stdout } = await cli(['cat', target, '--store', store, ...flags])
      expect(code).toBe(0)
      expect(stdout).toBe(bytes.subarray(from, to).toString())
    }
  })
})

describe('verify', () => {
  it('passes what is whole, and names the file that is not', async () => {
    const { store, folder } = await setup()
    const tree = path.join(folder, 'tree')
    await mkdir(path.join(tree, 'sub'), { recursive: true })
    await writeFile(path.join(tree, 'good'), 'good')
    await writeFile(path.join(tree, 'sub', 'bad.bin'), Buffer.alloc(3_000_000, 5))
    const { lines } = await cli(['add', tree, '--json', '--store', store])
    const cid = String(lines[0]?.['cid'])
    expect(await cli(['verify', cid, '--json', '--store', store])).toMatchObject({
      code: 0,
      lines: [{ cid, ok: true }],
    })
    expect(await cli(['verify', '--json', '--store', store])).toMatchObject({ code: 0, lines: [{ cid, ok: true }] })

    await flipInStore(store, 3_000_000)
    const damaged = await cli(['verify', cid, '--json', '--store', store])
    expect(damaged).toMatchObject({ code: 4, lines: [], error: { code: 'INTEGRITY', cid } })
    expect(damaged.error?.['file']).toBe('sub/bad.bin')
    expect(await cli(['verify', '--json', '--store', store])).toMatchObject({ code: 4, error: { code: 'INTEGRITY' } })
    const read = await cli(['cat', `${cid}/sub/bad.bin`, '--store', store])
    expect(read.code).toBe(4)
    expect(read.stderr.split('\n')).toHaveLength(2)
  })
})

/** Changes a bit of the one stored file that has this size. */
async function flipInStore(store: string, size: number): Promise<void> {
  for (const file of await snapshot(store)) {
    const bytes = await readFile(file)
    if (bytes.length !== size) continue
    await chmod(file, 0o600)
    const handle = await open(file, 'r+')
    await handle.write(Buffer.from([(bytes[size - 10] ?? 0) ^ 1]), 0, 1, size - 10)
    await handle.close()
    return
  }
  throw new Error(`the store keeps no file of ${size} bytes whole`)
}

describe('status', () => {
  it('shows a probed backend and every gate with its reason', async () => {
    const { store } = await setup()
    const { code, lines } = await cli(['status', '--json', '--store', store], { environment: { CI: 'true' } })
    expect(code).toBe(0)
    expect(lines[0]).toMatchObject({ backends: [{ name: 'fs', available: true }], ci: { isCi: true } })
    expect(lines[0]?.['gates']).toContainEqual(
      expect.objectContaining({
        feature: 'kubo',
        position: 'off',
        source: 'ci',
        reason: expect.stringContaining('CI'),
      }),
    )
  })

  it('refuses a required backend that is not there, with exit 5', async () => {
    const { store } = await setup()
    const { code, error } = await cli(['status', '--json', '--store', store], {
      environment: { IPFS_ACCELERATE_KUBO: 'require' },
    })
    expect(code).toBe(5)
    expect(error).toMatchObject({ code: 'GATED', feature: 'kubo' })
  })
})

it('a bucket that is required is named by a model of one', async () => {
  const { store, hello } = await setup()
  await cli(['add', hello, '--store', store])
  const run = (model: string) =>
    cli(['run', 'feature-extraction', 'text', '--model', model, '--json', '--store', store], {
      environment: { IPFS_ACCELERATE_S3: 'require' },
    })
  expect(await run('org/name')).toMatchObject({ code: 5, error: { code: 'GATED', feature: 's3' } })
  // Of what was pulled from there last, which is nothing.
  expect(await run('s3://models/tiny')).toMatchObject({ code: 3, error: { code: 'NOT_FOUND' } })
})

describe('bad input', () => {
  const cases: [name: string, argv: string[], code: number, named: string][] = [
    ['no such path', ['add', 'nowhere/at-all'], 3, 'nowhere/at-all'],
    ['an unknown profile', ['add', 'HELLO', '--profile', 'v9'], 2, 'v9'],
    ['an unknown command', ['frobnicate'], 2, 'frobnicate'],
    ['an unknown option', ['add', 'HELLO', '--frobnicate'], 2, '--frobnicate'],
    ["another command's option", ['cat', HELLO, '--profile', 'kubo-v1'], 2, '--profile'],
    ['an option without its value', ['add', 'HELLO', '--profile'], 2, '--profile'],
    ['a string that is no CID', ['cat', 'file.csv'], 2, 'file.csv'],
    ['bafy and hexadecimal', ['cat', `bafy${'0123456789abcdef'.repeat(3)}`], 2, 'bafy0123'],
    ['Qm and 44 letters', ['cat', `Qm${'Il0O'.repeat(11)}`], 2, 'QmIl0O'],
    ['a CID with a digest cut short', ['cat', HELLO.slice(0, -3)], 2, HELLO.slice(0, -3)],
    [
      'a CID that is not held',
      ['cat', 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'],
      3,
      'bafkreihdwd',
    ],
    ['a negative offset', ['cat', HELLO, '--offset=-1'], 2, '-1'],
    ['a path that climbs', ['cat', `${EMPTY_DIRECTORY}/../x`], 2, '..'],
    ['an unknown task', ['run', 'divination', '--model', 'x', 'y'], 2, 'divination'],
    ['a model that is not there', ['run', 'feature-extraction', '--model', 'no/such', 'y'], 3, 'no/such'],
    ['a name that climbs', ['add', 'HELLO', '--name', '../x'], 2, '../x'],
    ['a name for two paths', ['add', 'HELLO', 'HELLO', '--name', 'x'], 2, '--name'],
    ['no output', ['get', HELLO], 2, '-o'],
    ['a name that is kept for manifests', ['add', 'HELLO', '--name', '.manifests/x'], 2, '.manifests/x'],
    ['a path with control characters, shown as escapes', ['add', 'no\u001B[31m\rpe'], 3, 'no'],
  ]
  it.each(cases)(
    '%s gives one line that names it, and leaves the store as it was',
    async (_name, argv, code, named) => {
      const { store, hello } = await setup()
      await cli(['add', hello, '--store', store])
      const before = await snapshot(store)
      const real = argv.map((argument) => (argument === 'HELLO' ? hello : argument))
      const human = await cli([...real, '--store', store])
      expect(human.code).toBe(code)
      expect(human.stdout).toBe('')
      expect(human.stderr.trimEnd().split('\n')).toHaveLength(1)
      expect(human.stderr).toContain(named)
      // Nothing that data brought along may steer a terminal.
      expect(human.stderr.trimEnd()).not.toMatch(/\p{Cc}/u)
      const json = await cli([...real, '--store', store, '--json'])
      expect(json.code).toBe(code)
      expect(json.error).toMatchObject({ code: expect.any(String), message: expect.stringContaining(named) })
      expect(await snapshot(store)).toEqual(before)
    },
  )

  it('answers --help and --version with JSON when asked for it, and refuses an empty --store', async () => {
    expect((await cli(['--help', '--json'])).lines).toMatchObject([{ help: expect.stringContaining('usage') }])
    expect((await cli(['add', '--help', '--json'])).lines).toMatchObject([
      { help: expect.stringContaining('--profile') },
    ])
    expect((await cli(['--version', '--json'])).lines).toMatchObject([{ version: expect.any(String) }])
    expect(await cli(['ls', '--store', '', '--json'])).toMatchObject({ code: 2, error: { code: 'USAGE' } })
  })

  it('makes no store where one is only asked', async () => {
    const { folder } = await setup()
    const store = path.join(folder, 'mistyped')
    for (const argv of [['ls'], ['verify'], ['cat', HELLO], ['model', 'ls'], ['model', 'show', 'a/b']]) {
      expect(await cli([...argv, '--store', store, '--json'])).toMatchObject({ code: 3, error: { code: 'NOT_FOUND' } })
    }
    expect(existsSync(store)).toBe(false)
  })

  it('does not add a store to itself, unless it is hidden there', async () => {
    const { folder } = await setup()
    const inside = await cli(['add', folder, '--store', path.join(folder, 'store'), '--json'])
    expect(inside).toMatchObject({ code: 2, stdout: '', error: { message: expect.stringContaining('store') } })
    expect(await cli(['add', folder, '--store', path.join(folder, '.store'), '--json'])).toMatchObject({ code: 0 })
  })

  it('does not overwrite what get is pointed at', async () => {
    const { store, hello, folder } = await setup()
    await cli(['add', hello, '--store', store])
    const target = path.join(folder, 'there')
    await writeFile(target, 'mine')
    const { code, stderr } = await cli(['get', HELLO, '-o', target, '--store', store])
    expect(code).toBe(2)
    expect(stderr).toContain(target)
    expect(await readFile(target, 'utf8')).toBe('mine')
  })
})
