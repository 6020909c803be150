import { mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { profileOf, PROFILES, type ProfileName } from '@x/cid'
import { writeFixtureModel } from '@x/fixtures'
import { openStorage, serveGateway } from '@x/node'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode, type StartKuboOptions } from '../../../tooling/kubo/start-kubo.ts'
import { createClosing, type Closable } from '../src/closing.ts'
import { cli, temporaryDirectory, type Outcome } from './harness.ts'

async function daemon(context: TestContext, options?: StartKuboOptions): Promise<KuboNode> {
  const kubo = await startKubo(kuboOrSkip(context), options)
  onTestFinished(() => kubo.stop())
  return kubo
}

async function place(): Promise<{ folder: string; store: string; json: string[] }> {
  const folder = await temporaryDirectory()
  const store = path.join(folder, 'store')
  return { folder, store, json: ['--json', '--store', store] }
}

/** @throws What it said, where it failed. */
async function ok(argv: readonly string[]): Promise<Outcome> {
  const outcome = await cli(argv)
  if (outcome.code !== 0) throw new Error(`${argv.join(' ')}: exit ${outcome.code}: ${outcome.stderr}`)
  return outcome
}

const textOf = async (kubo: KuboNode, ...args: string[]): Promise<string> =>
  (await kubo.ipfs(args)).stdout.toString().trim()

/** How Kubo is told to build as a profile says. */
const KUBO_ADD: Readonly<Record<ProfileName, readonly string[]>> = {
  'unixfs-v1-2025': ['--cid-version=1', '--chunker=size-1048576', '--max-file-links=1024'],
  'unixfs-v0-2015': ['--cid-version=0'],
  'kubo-v1': ['--cid-version=1'],
}

const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => (index * 7919) >>> 3))

async function writeCorpus(folder: string): Promise<string> {
  const corpus = path.join(folder, 'corpus')
  await mkdir(path.join(corpus, 'below', 'deeper'), { recursive: true })
  await writeFile(path.join(corpus, 'empty'), '')
  await writeFile(path.join(corpus, 'hello.txt'), 'hello world')
  await writeFile(path.join(corpus, 'one chunk'), bytes(262_144))
  await writeFile(path.join(corpus, 'chunk and one'), bytes(262_145))
  await writeFile(path.join(corpus, 'below', 'two MiB'), bytes(2 * 1024 * 1024 + 1))
  await writeFile(path.join(corpus, 'below', 'deeper', 'größe ∞.txt'), 'names in other letters')
  return corpus
}

/** Text in another store, which serves it. */
async function served(): Promise<{ cid: string; url: string; json: string[] }> {
  const { folder, json } = await place()
  const storage = await openStorage({ directory: path.join(folder, 'theirs'), environment: {} })
  onTestFinished(() => storage.close())
  const { cid } = await storage.add(Buffer.from('theirs '.repeat(500_000)))
  const server = await serveGateway(storage, { environment: {} })
  onTestFinished(() => server.close())
  return { cid: cid.toString(), url: server.url, json }
}

/** Of this process, by Linux. */
const openFiles = async (below: string): Promise<string[]> => {
  const links = await readdir('/proc/self/fd')
  const files = await Promise.all(links.map((link) => readlink(`/proc/self/fd/${link}`).catch(() => '')))
  return files.filter((file) => file.startsWith(below))
}

describe('with a Kubo daemon', () => {
  it.for(Object.keys(PROFILES))('add and `ipfs add` agree under %s', async (name, context) => {
    const profile = profileOf(name).name
    const kubo = await daemon(context, { profiles: profile === 'kubo-v1' ? [] : [profile] })
    const { folder, json } = await place()
    const corpus = await writeCorpus(folder)
    const theirs = await textOf(kubo, 'add', '-r', '-Q', ...KUBO_ADD[profile], corpus)
    const here = await ok(['add', corpus, '--profile', profile, ...json])
    const there = await ok(['add', corpus, '--profile', profile, '--backend', `kubo=${kubo.api}`, ...json])
    const [ours, through] = [here, there].map(({ lines }) => String(lines[0]?.['cid']))
    console.log(`${profile}: ipfs add ${theirs}, add ${ours}, add --backend kubo ${through}`)
    expect([ours, through]).toEqual([theirs, theirs])
  })

  it('keeps a model there: pinned, named, shown in its files, published, and run from a CAR of it', async (context) => {
    const kubo = await daemon(context)
    const { folder, json } = await place()
    const backend = ['--backend', `kubo=${kubo.api}`]
    const model = path.join(folder, 'tiny-bert')
    await writeFixtureModel('tiny-bert', model)
    const args = ['model', 'add', model, '--name', 'fix/tiny', '--to-mfs', '/models/fix/tiny', ...backend, ...json]
    const cid = String((await ok(args)).lines[0]?.['cid'])
    expect(await textOf(kubo, 'pin', 'ls', '--type=recursive', cid)).toContain(cid)
    expect(await textOf(kubo, 'files', 'stat', '--hash', '/models/fix/tiny')).toBe(cid)
    expect((await ok(['model', 'ls', ...backend, ...json])).lines).toMatchObject([{ cid, name: 'fix/tiny' }])
    expect((await ok(['pin', 'ls', ...backend, ...json])).lines.map((line) => line['cid'])).toContain(cid)
    expect((await ok(['verify', cid, ...backend, ...json])).lines).toMatchObject([{ cid, ok: true }])
    const published = await ok(['model', 'publish', 'fix/tiny', '--key', 'tiny', ...backend, ...json])
    const name = String(published.lines[0]?.['name'])
    expect(await textOf(kubo, '--offline', 'name', 'resolve', name.replace('ipns://', '/ipns/'))).toBe(`/ipfs/${cid}`)
    const listed = await ok(['ls', name, ...backend, ...json])
    expect(listed.lines.map((line) => line['name'])).toContain('config.json')

    // Exported by Kubo, imported into an empty store, and run.
    const car = path.join(folder, 'model.car')
    await writeFile(car, (await kubo.ipfs(['dag', 'export', cid])).stdout)
    const other = ['--json', '--store', path.join(folder, 'other')]
    expect((await ok(['car', 'import', car, ...other])).lines).toMatchObject([{ roots: [cid] }])
    const ran = await ok(['run', 'feature-extraction', 'some text', '--model', `ipfs://${cid}`, ...other])
    expect(ran.lines).toMatchObject([{ receipt: { model: cid } }])
    // The same from the daemon itself, by its name, in a store that has nothing.
    const third = ['--json', '--store', path.join(folder, 'third')]
    const byName = await ok(['run', 'feature-extraction', 'some text', '--model', name, ...backend, ...third])
    expect(byName.lines[0]?.['output']).toEqual(ran.lines[0]?.['output'])
  })

  it('pulls and runs what `ipfs add` made, from the daemon, as its peer, and from its gateway', async (context) => {
    const kubo = await daemon(context, { profiles: ['unixfs-v1-2025'] })
    const { folder } = await place()
    const model = path.join(folder, 'tiny-bert')
    await writeFixtureModel('tiny-bert', model)
    const cid = await textOf(kubo, 'add', '-r', '-Q', model)
    const froms = [`kubo=${kubo.api}`, `helia=${kubo.addresses[0]}`, `gateway=${kubo.gateway}`]
    const outputs: unknown[] = []
    for (const [index, from] of froms.entries()) {
      const pulled = ['--json', '--store', path.join(folder, `pulled-${index}`)]
      const { lines } = await ok(['pull', cid, '--from', from, '--name', 'pulled/model', ...pulled])
      expect(lines).toMatchObject([{ cid, name: 'pulled/model', blocks: expect.any(Number) }])
      outputs.push(
        (await ok(['run', 'feature-extraction', 'hello', '--model', 'pulled/model', ...pulled])).lines[0]?.['output'],
      )
      const direct = ['--json', '--store', path.join(folder, `direct-${index}`)]
      const ran = await ok([
        'run',
        'feature-extraction',
        'hello',
        '--model',
        `ipfs://${cid}`,
        '--backend',
        from,
        ...direct,
      ])
      outputs.push(ran.lines[0]?.['output'])
      const read = await ok([
        'cat',
        `${cid}/config.json`,
        '--backend',
        from,
        '--store',
        path.join(folder, `direct-${index}`),
      ])
      expect(read.bytes).toEqual(await readFile(path.join(model, 'config.json')))
    }
    for (const output of outputs) expect(output).toEqual(outputs[0])
  })

  it('pushes what is stored here', async (context) => {
    const kubo = await daemon(context)
    const { folder, json } = await place()
    const corpus = await writeCorpus(folder)
    const cid = String((await ok(['add', corpus, ...json])).lines[0]?.['cid'])
    expect((await ok(['push', cid, '--to', `kubo=${kubo.api}`, ...json])).lines).toMatchObject([{ cid, to: 'kubo' }])
    expect(await textOf(kubo, 'pin', 'ls', '--type=recursive', cid)).toContain(cid)
    expect(await textOf(kubo, 'cat', `${cid}/hello.txt`)).toBe('hello world')
  })

  it('goes on with the next source where the first is not there, and says so', async (context) => {
    const kubo = await daemon(context)
    const { folder, json } = await place()
    const cid = await textOf(kubo, 'add', '-Q', '--cid-version=1', path.join(await writeCorpus(folder), 'hello.txt'))
    const froms = ['--from', 'gateway=http://127.0.0.1:1', '--from', `gateway=${kubo.gateway}`]
    const { stderr, lines } = await ok(['pull', cid, ...froms, ...json])
    expect(lines).toMatchObject([{ cid }])
    expect(stderr).toContain('warning')
  })
})

describe('several sources', () => {
  it.each(['kubo', 'gateway', 'static'])('one that is not there is a warning, said once: %s', async (kind) => {
    const { cid, url, json } = await served()
    const froms = ['--from', `${kind}=http://127.0.0.1:9`, '--from', `gateway=${url}`]
    const { stderr, lines } = await ok(['pull', cid, ...froms, ...json])
    // Only where blocks came from, and not where they were asked for.
    expect(lines).toMatchObject([{ cid, from: ['gateway'] }])
    expect(stderr.trim().split('\n')).toEqual([expect.stringMatching(/^\{"warning":.*127\.0\.0\.1:9/)])
  })

  it('is an error where none is there', async () => {
    const { json } = await place()
    const froms = ['--from', 'kubo=http://127.0.0.1:9', '--from', 'kubo=http://127.0.0.1:13']
    const outcome = await cli(['pull', 'bafkqaaa', ...froms, ...json])
    expect(outcome).toMatchObject({ code: 1, error: { code: 'BACKEND' } })
    expect(outcome.error?.['message']).toContain('127.0.0.1:9')
    expect(outcome.stderr).toMatch(/"warning":.*127\.0\.0\.1:13/)
    const named = await cli(['pull', 'ipns://k51qzi5uqu5', ...froms, '--from', 'gateway=http://127.0.0.1:9', ...json])
    expect(named).toMatchObject({ code: 1, error: { code: 'BACKEND' } })
  })
})

describe('what was opened is closed', () => {
  it('with a backend that is not there, too', async (context) => {
    if (process.platform !== 'linux') context.skip('only Linux shows the open files of a process')
    const { store, json } = await place()
    await ok(['add', '-', ...json])
    const { lines } = await ok(['status', '--backend', 'kubo=http://127.0.0.1:9', ...json])
    expect(lines).toMatchObject([{ backends: [{ name: 'fs' }, { name: 'backend', available: false }] }])
    expect(await openFiles(store)).toEqual([])
  })

  it('also after one that fails to, and the first error stays the answer', async () => {
    const closed: string[] = []
    const closing = createClosing()
    const closable = (name: string, error?: Error): Closable => ({
      async close() {
        closed.push(name)
        if (error) throw error
      },
    })
    await closing.keep(Promise.resolve(closable('store')))
    await closing.keep(Promise.resolve(closable('server', new Error('server'))))
    await closing.keep(Promise.reject<Closable>(new Error('absent'))).catch(() => undefined)
    void closing.keep(setImmediate(closable('peer', new Error('peer'))))
    expect(await closing.close()).toEqual([new Error('peer'), new Error('server')])
    expect(closed).toEqual(['peer', 'server', 'store'])
    expect(await closing.close()).toEqual([])
  })
})

describe('what cannot be', () => {
  it.for<[string[], number, RegExp]>([
    [['ls', '--backend', 'nowhere=http://127.0.0.1:1'], 2, /nowhere.*there is kubo=URL/],
    [['ls', '--backend', 'kubo'], 2, /kubo=URL, or set IPFS_ACCELERATE_KUBO_URL/],
    [['ls', '--backend', 'kubo='], 2, /write it as kubo=URL$/m],
    [['ls', '--backend', 'lan=/ip4/127.0.0.1/tcp/1'], 2, /write it as lan$/m],
    [['add', '.', '--backend', 'gateway=http://127.0.0.1:1'], 2, /can only be read/],
    [['add', '.', '--mode', 'reference', '--backend', 'kubo=http://127.0.0.1:1'], 2, /--mode is for the local store/],
    [['ls', '--backend', 'kubo=http://127.0.0.1:1'], 1, /127\.0\.0\.1:1/],
    [['cat', 'ipns://k51qzi5uqu5', '--backend', 'gateway=http://127.0.0.1:1'], 2, /--backend kubo=URL/],
    [['pull', 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'], 2, /--from is wanted/],
    [['pull', 'ipns://k51qzi5uqu5', '--from', 'gateway=http://127.0.0.1:1'], 2, /: --from kubo=URL/],
    [['serve', '--gateway', '--port', 'abc'], 2, /--port abc is not a port/],
    [['serve', '--gateway', '--port', '65536'], 2, /--port 65536 is not a port/],
    [['serve', '--peer', '--allow-host', 'example.org'], 2, /--allow-host are for --gateway/],
    [['cat', 'bafkqaaa', '--offset', 'x'], 2, /--offset x is not a whole number of bytes/],
    [['serve'], 2, /--gateway, --peer or --lan/],
  ])('%j', async ([argv, code, message]) => {
    const { store } = await place()
    const outcome = await cli([...argv, '--store', store])
    expect(outcome).toMatchObject({ code })
    expect(outcome.stderr).toMatch(message)
  })

  it('is named in the environment', async () => {
    const { store } = await place()
    const read = (kind: string, value: string) =>
      cli(['ls', '--backend', kind, '--store', store], {
        environment: { [`IPFS_ACCELERATE_${kind.toUpperCase()}_URL`]: value },
      })
    expect(await read('kubo', 'http://127.0.0.1:1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('127.0.0.1:1'),
    })
    expect(await read('static', 'http://user:secret@127.0.0.1:1,')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^(?!.*secret).*set IPFS_ACCELERATE_STATIC_URL/),
    })
  })

  it('is not contacted where a switch says so', async () => {
    const { store } = await place()
    const off = await cli(['ls', '--backend', 'kubo=http://127.0.0.1:1', '--store', store], {
      environment: { IPFS_ACCELERATE_NETWORK: 'off' },
    })
    expect(off).toMatchObject({ code: 5 })
    expect(off.stderr).toMatch(/kubo may not connect to 127\.0\.0\.1/)
    const local = await cli(['ls', '--backend', 'kubo=http://192.0.2.1:5001', '--store', store], {
      environment: { IPFS_ACCELERATE_NETWORK: 'local' },
    })
    expect(local).toMatchObject({ code: 5 })
  })

  it('shows no password', async () => {
    const { store } = await place()
    for (const backend of [
      'kubo=http://me:s3cret@127.0.0.1:1',
      'gateway=http://me:s3cret@127.0.0.1:1',
      'kubo=s3cret@@',
      'helia=http://me:s3cret@127.0.0.1:1',
    ]) {
      const { stderr, stdout } = await cli(['cat', 'bafkqaaa', '--backend', backend, '--store', store])
      expect(stderr + stdout).not.toContain('s3cret')
    }
  })
})
