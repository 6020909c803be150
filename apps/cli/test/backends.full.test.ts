import { mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { profileOf, PROFILES, type ProfileName } from '@x/cid'
import { writeFixtureModel } from '@x/fixtures'
import { openStorage, serveGateway } from '@x/node'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode, type StartKuboOptions } from '../../../tooling/kubo/start-kubo.ts'
import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
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

const KUBO = 'kubo=http://127.0.0.1:1'

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
    // What is shown there already is done; where something else is, nothing is sent.
    expect((await ok(args)).lines).toMatchObject([{ cid }])
    await kubo.ipfs(['files', 'mkdir', '/models/taken'])
    const taken = await cli(args.map((arg) => (arg === '/models/fix/tiny' ? '/models/taken' : arg)))
    expect(taken).toMatchObject({ code: 1, lines: [], error: { code: 'CONFLICT' } })
    expect((await ok(['pin', 'ls', ...backend, ...json])).lines.map((line) => line['cid'])).toContain(cid)
    expect((await ok(['verify', cid, ...backend, ...json])).lines).toMatchObject([{ cid, ok: true }])
    const published = await ok(['model', 'publish', 'fix/tiny', '--key', 'tiny', ...backend, ...json])
    const name = String(published.lines[0]?.['name'])
    expect(await textOf(kubo, '--offline', 'name', 'resolve', name.replace('ipns://', '/ipns/'))).toBe(`/ipfs/${cid}`)
    expect((await ok(['model', 'show', name, ...backend, ...json])).lines).toMatchObject([{ cid, name: 'fix/tiny' }])
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
      expect((await ok(['model', 'ls', ...pulled])).lines).toMatchObject([{ cid, name: 'pulled/model' }])
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

  it('publishes nothing that is no model, or not there, and makes no key for it', async (context) => {
    const kubo = await daemon(context)
    const { folder, json } = await place()
    const text = await textOf(kubo, 'add', '-Q', path.join(await writeCorpus(folder), 'hello.txt'))
    const absent = 'bafybeiakmbatbyblqxc7taht2xclorv5yafnatkqoy4bej3f3dvzbh3tfy'
    const publish = (cid: string): Promise<Outcome> =>
      cli(['model', 'publish', cid, '--key', 'fresh', '--backend', `kubo=${kubo.api}`, ...json])
    expect(await publish(absent)).toMatchObject({ code: 3, stdout: '', error: { code: 'NOT_FOUND', cid: absent } })
    expect(await publish(text)).toMatchObject({ code: 2, stdout: '', error: { code: 'INVALID_INPUT' } })
    expect(await textOf(kubo, 'key', 'list')).toBe('self')
  })

  it('pushes what is stored here', async (context) => {
    const kubo = await daemon(context)
    const { folder, json } = await place()
    const corpus = await writeCorpus(folder)
    const cid = String((await ok(['add', corpus, ...json])).lines[0]?.['cid'])
    expect((await ok(['push', cid, '--to', `kubo=${kubo.api}`, ...json])).lines).toMatchObject([{ cid, to: 'kubo' }])
    expect(await textOf(kubo, 'pin', 'ls', '--type=recursive', cid)).toContain(cid)
    expect(await textOf(kubo, 'cat', `${cid}/hello.txt`)).toBe('hello world')
    const model = path.join(folder, 'tiny-bert')
    await writeFixtureModel('tiny-bert', model)
    const pushed = String((await ok(['model', 'add', model, ...json])).lines[0]?.['cid'])
    await ok(['push', pushed, '--to', `kubo=${kubo.api}`, ...json])
    const listed = await ok(['model', 'ls', '--backend', `kubo=${kubo.api}`, ...json])
    expect(listed.lines).toMatchObject([{ cid: pushed }])
  })

  it('goes on with the next source where the first is not there, and says so', async (context) => {
    const kubo = await daemon(context)
    const { folder, json } = await place()
    const cid = await textOf(kubo, 'add', '-Q', '--cid-version=1', path.join(await writeCorpus(folder), 'hello.txt'))
    const froms = ['--from', 'gateway=http://127.0.0.1:1', '--from', `gateway=${kubo.gateway}`]
    // Unless the one that failed is required.
    const environment = { IPFS_ACCELERATE_GATEWAY: 'require' }
    const refused = await cli(['pull', cid, ...froms.slice(0, 2), '--from', `kubo=${kubo.api}`, ...json], {
      environment,
    })
    expect(refused).toMatchObject({ code: 5, stdout: '', error: { code: 'GATED', feature: 'gateway' } })
    expect(refused.error?.['message']).toMatch(/gateway is required, and failed: .*127\.0\.0\.1:1/)
    const { stderr, lines } = await ok(['pull', cid, ...froms, ...json])
    expect(lines).toMatchObject([{ cid }])
    expect(stderr).toContain('warning')
  })
})

/** A server that gives the same answer to everything. */
async function answering(status: number, body = ''): Promise<string> {
  return new URL(await serveOnLoopback((_, response) => response.writeHead(status).end(body))).host
}

describe('several sources', () => {
  it('are told apart: who gave, who lacked, and who lied', async () => {
    const { cid, url, json } = await served()
    const { host } = new URL(url)
    const [one, two, liar] = [await answering(404), await answering(404), await answering(200, 'a lie')]
    const lacking = [one, two].flatMap((each) => ['--from', `gateway=http://${each}`])
    const lies = ['--from', `gateway=http://${liar},${url}`]
    const { lines, stderr } = await ok(['pull', cid, ...lacking, '--from', `gateway=${url}`, ...json])
    expect(lines).toMatchObject([{ from: [`gateway=${host}`] }])
    for (const each of [one, two]) expect(stderr).toContain(`"gateway=${each}: `)
    const { folder } = await place()
    const text = await ok(['pull', cid, ...lies, '--store', path.join(folder, 'other')])
    expect(text.stdout).toMatch(new RegExp(`from gateway=${liar},${host}$`, 'm'))
    expect(text.stderr).toContain(`: http://${liar}: `)
  })

  it('one that is required does not fail unnoticed', async () => {
    const { cid, url, json } = await served()
    const required = (feature: string, ...argv: string[]): Promise<Outcome> =>
      cli([...argv, ...json], { environment: { [`IPFS_ACCELERATE_${feature}`]: 'require' } })
    const froms = ['--from', 'kubo=http://127.0.0.1:9', '--from', `gateway=${url}`]
    const failed = await required('KUBO', 'pull', cid, ...froms)
    expect(failed).toMatchObject({ code: 5, stdout: '', error: { code: 'GATED', feature: 'kubo' } })
    expect(failed.error?.['message']).toMatch(/kubo is required, and failed: .*127\.0\.0\.1:9/)
    const peer = `helia=/ip4/127.0.0.1/tcp/9/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5`
    const later = await required('HELIA', 'pull', cid, '--from', peer, '--from', `gateway=${url}`)
    expect(later).toMatchObject({ code: 5, stdout: '', error: { code: 'GATED', feature: 'helia' } })
    expect(await required('GATEWAY', 'ls', '--backend', 'kubo=http://127.0.0.1:9')).toMatchObject({
      code: 5,
      error: { feature: 'gateway', message: expect.stringContaining('none was named') },
    })
    // Another one that is behind the same switch may stand in.
    const dead = ['--from', 'gateway=http://127.0.0.1:9', '--from', `gateway=${url}`]
    expect(await required('GATEWAY', 'pull', cid, ...dead)).toMatchObject({ code: 0, lines: [{ cid }] })
  })

  it.each(['kubo', 'gateway', 'static'])('one that is not there is a warning, said once: %s', async (kind) => {
    const { cid, url, json } = await served()
    const froms = ['--from', `${kind}=http://127.0.0.1:9`, '--from', `gateway=${url}`]
    const { stderr, lines } = await ok(['pull', cid, ...froms, ...json])
    // Only where blocks came from, and not where they were asked for.
    expect(lines).toMatchObject([{ cid, from: [`gateway=${new URL(url).host}`] }])
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
    expect(lines).toMatchObject([{ backends: [{ name: 'fs' }, { name: 'kubo', available: false }] }])
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
    [['serve', '--gateway', '--dtype', 'q8'], 2, /--dtype is for --model/],
    [['model', 'add', '.', '--max-bytes', '10', '--backend', KUBO], 2, /--max-bytes is for the local store/],
    [['car', 'import', '-', '--max-bytes', '10', '--backend', KUBO], 2, /--max-bytes is for the local store/],
    [['push', 'bafkqaaa', '--to', KUBO, '--to', KUBO], 2, /--to was given more than once/],
    [['cat', 'bafkqaaa', '--backend', KUBO, '--backend=lan'], 2, /--backend was given more than once/],
    [['push', 'bafkqaaa', '--to', KUBO, '--name', '.manifests/x'], 2, /push: .* begin with a dot/],
    [['add', '.', '--name', '../x'], 2, /name "\.\.\/x": (?!.*manifests)/],
    [['push', 'ipns://example.org', '--to', KUBO], 2, /push: a CID is wanted, not the name ipns:\/\/example\.org/],
    [['export', 'ipns://example.org', '--static', 'folder'], 2, /export: a CID is wanted, not the name/],
    [['pin', 'add', '/ipns/example.org'], 2, /pin add: a CID is wanted, not the name/],
    [['model', 'show', 'ipns://example.org'], 2, /Kubo daemon resolves: --backend kubo=URL/],
  ])('%j', async ([argv, code, message]) => {
    const { store } = await place()
    const outcome = await cli([...argv, '--store', store])
    expect(outcome).toMatchObject({ code })
    expect(outcome.stderr).toMatch(message)
  })

  // Were one of them opened first, the switch would be the answer, with another code.
  it.for<[string[], RegExp]>([
    [['push', 'bafkqaaa', '--to', 'lan'], /push: lan can only be read/],
    [['rm', 'bafkqaaa', '--backend', 'lan'], /rm: lan can only be read/],
    [['pin', 'add', 'bafkqaaa', '--backend', 'lan'], /pin add: lan can only be read/],
    [['model', 'add', '.', '--backend', 'lan'], /model add: lan can only be read/],
    [['model', 'add', '.', '--to-mfs', '/x', '--backend', 'lan'], /needs a Kubo daemon/],
    [['model', 'publish', 'bafkqaaa', '--key', 'k', '--backend', 'lan'], /needs a Kubo daemon/],
    [['model', 'show', 'org/name', '--backend', 'lan'], /lan has no names; give a CID/],
    [['model', 'ls', '--backend', 'lan'], /lan has no list of roots; `model show CID`/],
    [['run', 'feature-extraction', 'x', '--model', './m', '--backend', 'lan'], /that is a path, and lan is asked for/],
    [['ls', '--backend', 'lan'], /ls: lan has no list of roots; give a CID/],
    [['ls', 'no CID', '--backend', 'lan'], /not a CID/],
    [['verify', '--backend', 'static=http://127.0.0.1:1'], /verify: static has no list of roots; give a CID/],
    [['pin', 'ls', '--backend', 'lan'], /pin ls: lan has no pins/],
    [['cat', 'ipns://example.org', '--backend', 'lan'], /--backend kubo=URL/],
    [['pull', 'ipns://example.org', '--from', 'lan'], /--from kubo=URL/],
    [['pull', 'no CID', '--from', 'lan'], /not a CID/],
  ])('is refused before anything is opened: %j', async ([argv, message]) => {
    const { store } = await place()
    const outcome = await cli([...argv, '--store', store], { environment: { IPFS_ACCELERATE_NETWORK: 'off' } })
    expect(outcome).toMatchObject({ code: 2 })
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

it('the help says how a backend is named, and by which variables', async () => {
  for (const command of ['pull', 'cat', 'status']) {
    const { stdout } = await ok([command, '--help'])
    for (const text of ['gateway=URL[,URL...]', 'IPFS_ACCELERATE_STATIC_URL', 'IPFS_ACCELERATE_KUBO_AUTH']) {
      expect(stdout).toContain(text)
    }
  }
  expect((await ok(['add', '--only-hash', '--help'])).stdout).toContain('kubo=URL')
  expect((await ok(['gc', '--help'])).stdout).toContain('IPFS_ACCELERATE_KUBO_URL')
})
