import { createHash, generateKeyPairSync } from 'node:crypto'
import { link, mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

import { writeFixtureModel } from '@x/fixtures'
import { MAX_REGISTRY_BYTES } from '@x/model-loader'
import { openStorage, serveGateway } from '@x/node'
import { expect, it, onTestFinished } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo } from '../../../tooling/kubo/start-kubo.ts'
import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { cli, temporaryDirectory, type Outcome } from './harness.ts'

const NAME = 'models.example.org'

interface Place {
  folder: string
  /** The publisher's. */
  ours: (...args: string[]) => Promise<Outcome>
  /** The follower's. */
  theirs: (...args: string[]) => Promise<Outcome>
  key: string
  pub: string
}

async function writeKeys(folder: string, name: string): Promise<{ key: string; pub: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const [key, pub] = [path.join(folder, `${name}.pem`), path.join(folder, `${name}.pub`)]
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await writeFile(pub, publicKey.export({ type: 'spki', format: 'pem' }))
  return { key, pub }
}

async function place(): Promise<Place> {
  const folder = await temporaryDirectory()
  const run =
    (store: string) =>
    (...args: string[]): Promise<Outcome> =>
      cli([...args, '--json', '--store', path.join(folder, store)])
  return { folder, ours: run('ours'), theirs: run('theirs'), ...(await writeKeys(folder, 'us')) }
}

async function variant(folder: string, note: string): Promise<string> {
  const directory = path.join(folder, note)
  await mkdir(directory)
  await writeFixtureModel('tiny-bert', directory)
  await writeFile(path.join(directory, 'README.md'), `---\nlicense: mit\n---\n${note}\n`)
  return directory
}

/** Adds a version, and publishes what there is then. */
async function publish({ folder, ours, key }: Place, version: string, file = `${version}.json`): Promise<string> {
  const added = await ours('model', 'add', await variant(folder, `v${version}`), '--name', `org/tiny@${version}`)
  expect(added).toMatchObject({ code: 0 })
  const target = path.join(folder, file)
  const published = await ours('registry', 'publish', '--key', key, '--name', NAME, '--prefix', 'org/', '-o', target)
  expect(published).toMatchObject({ code: 0, stderr: '' })
  return target
}

it('is published, followed over HTTP, and a model comes by its name from a gateway', async () => {
  const here = await place()
  const { folder, ours, theirs, pub } = here
  const first = await publish(here, '1.0')
  await ours('model', 'add', await variant(folder, 'secret'), '--name', 'secret/model')
  let file = first
  const url = `${await serveOnLoopback((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/registry.json' }).end()
    else void readFile(file).then((bytes) => response.end(bytes))
  })}/moved`
  const followed = await theirs('registry', 'follow', url, '--trust', pub, '--name', NAME)
  expect(followed).toMatchObject({ code: 0, stderr: '' })
  const hint = createHash('sha256')
    .update(await readFile(pub))
    .digest('hex')
  expect(followed.lines).toMatchObject([{ name: NAME, source: url, models: 1, change: 'new', hint }])
  const second = await publish(here, '2.0')
  file = second
  expect((await theirs('registry', 'follow', url)).lines).toMatchObject([{ models: 2, change: 'newer' }])
  expect((await theirs('registry', 'follow', url)).lines).toMatchObject([{ models: 2, change: 'same' }])
  expect((await theirs('registry', 'ls')).lines).toMatchObject([{ name: NAME, source: url, models: 2, hint }])
  const { lines } = await theirs('registry', 'ls', NAME)
  expect(lines).toMatchObject([
    { name: 'org/tiny', version: '1.0', current: false, licence: 'mit', dtypes: ['fp32'] },
    { name: 'org/tiny', version: '2.0', current: true },
  ])
  expect((await theirs('model', 'ls')).lines).toEqual([])
  expect((await theirs('ls')).lines).toEqual([])
  expect((await theirs('model', 'search', 'TINY', '--licence', 'MIT')).lines).toMatchObject([
    { name: 'org/tiny', version: '1.0', cid: lines[0]?.['cid'], registry: NAME },
    { name: 'org/tiny', version: '2.0', registry: NAME },
  ])
  expect((await theirs('model', 'search', '--licence', 'apache-2.0')).lines).toEqual([])
  // It only says which CID it is.
  const cid = String(lines[1]?.['cid'])
  const shown = await theirs('model', 'show', 'org/tiny')
  expect(shown).toMatchObject({ code: 3 })
  expect(shown.stderr).toContain(`ipfs://${cid}, as registry ${NAME} says`)
  const nowhere = await theirs('model', 'pull', 'org/tiny')
  expect(nowhere).toMatchObject({ code: 2 })
  expect(nowhere.stderr).toContain('hf://org/tiny')

  const storage = await openStorage({ directory: path.join(folder, 'ours'), environment: {} })
  onTestFinished(() => storage.close())
  const gateway = await serveGateway(storage, { environment: {} })
  onTestFinished(() => gateway.close())
  const from = ['--from', `gateway=${gateway.url}`]
  const some = await theirs('model', 'pull', 'org/tiny', ...from, '--dtype', 'fp32')
  expect(some).toMatchObject({ code: 2, error: { message: expect.stringContaining('hf://org/tiny') } })
  expect((await theirs('model', 'pull', 'org/tiny', ...from)).lines).toMatchObject([{ cid }])
  expect((await theirs('model', 'pull', 'org/tiny@1.0', ...from)).lines).toMatchObject([{ cid: lines[0]?.['cid'] }])
  const found = (await theirs('model', 'search', '--licence', 'mit')).lines
  expect(found.map(({ registry }) => registry)).toEqual([undefined, undefined])
  // Neither has a name in this store.
  expect((await theirs('model', 'search', 'TIN')).lines).toMatchObject(
    ['1.0', '2.0'].map((version) => ({ name: null, registryNames: [{ name: 'org/tiny', version, registry: NAME }] })),
  )
  const shownTo = await cli(['model', 'search', 'tin', '--store', path.join(folder, 'theirs')])
  expect(shownTo.stdout).toContain(`org/tiny@2.0 of registry ${NAME}`)
  expect(shownTo.stdout).not.toContain('not held')
  expect((await theirs('model', 'manifest', 'org/tiny')).lines).toMatchObject([{ cid: lines[1]?.['manifest'] }])
  const ran = await theirs('run', 'feature-extraction', '--model', 'org/tiny', 'the quick fox')
  expect(ran).toMatchObject({ code: 0 })
  expect((await theirs('gc')).code).toBe(0)
  expect((await theirs('registry', 'rm', NAME)).code).toBe(0)
  expect((await theirs('registry', 'rm', NAME)).code).toBe(3)
  expect((await theirs('model', 'show', 'org/tiny')).code).toBe(3)
  expect((await theirs('model', 'show', cid)).code).toBe(0)
})

it('is refused when it moves backwards, is signed by another, or was changed', async () => {
  const here = await place()
  const { folder, ours, theirs, pub } = here
  const others = await writeKeys(folder, 'others')
  const [first, second] = [await publish(here, '1.0'), await publish(here, '2.0')]
  const refused = async (file: string, reason: RegExp, ...more: string[]): Promise<void> => {
    const outcome = await theirs('registry', 'follow', file, ...more)
    expect(outcome).toMatchObject({ code: 4, lines: [] })
    expect(outcome.stderr).toMatch(reason)
  }
  const untrusted = await theirs('registry', 'follow', second)
  expect(untrusted.error).toMatchObject({ message: expect.stringMatching(/name a public key: --trust FILE$/) })
  await refused(second, /"unknown-key"/, '--trust', others.pub)
  expect((await theirs('registry', 'ls')).lines).toEqual([])
  expect((await theirs('registry', 'follow', second, '--trust', pub)).lines).toMatchObject([{ change: 'new' }])
  await refused(first, /"backwards"/, '--trust', pub)
  // By another key, under the same name.
  const usurped = path.join(folder, 'usurped.json')
  await ours('registry', 'publish', '--key', others.key, '--name', NAME, '-o', usurped)
  await refused(usurped, /forget it first/, '--trust', pub, '--trust', others.pub)
  // Another registry at the same place.
  await ours('registry', 'publish', '--key', here.key, '--name', 'other', '-o', second, '--force')
  await refused(second, /"mismatch"/)
  await refused(second, /has registry other, and had models\.example\.org; .*registry rm models\.example\.org/)
  const tampered = path.join(folder, 'tampered.json')
  const bundle = JSON.parse(await readFile(first, 'utf8'))
  const payload = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString())
  bundle.dsseEnvelope.payload = Buffer.from(JSON.stringify({ ...payload, sequence: 2 ** 50 })).toString('base64')
  await writeFile(tampered, JSON.stringify(bundle))
  await refused(tampered, /"bad-signature"/, '--trust', pub)
  // It says which file it cannot read.
  const torn = path.join(folder, 'torn.json')
  await writeFile(torn, '{"a":')
  await refused(torn, /torn\.json: bundle: /, '--trust', pub)
  expect((await theirs('registry', 'ls')).lines).toMatchObject([{ models: 2 }])
})

it('is refused when the server has something else', async () => {
  const { theirs, pub } = await place()
  const url = await serveOnLoopback(({ url: target }, response) => {
    if (target === '/page') response.end('<!doctype html><title>Sign in</title>')
    else if (target === '/text') response.end('{"models":[]}')
    else if (target === '/large') {
      const piece = Buffer.alloc(2 ** 20, 'x')
      const more = (): boolean => response.write(piece)
      response.on('drain', more)
      more()
    } else if (target === '/elsewhere') response.writeHead(302, { location: 'https://127.0.0.1:1/x' }).end()
    else if (target === '/loop') response.writeHead(302, { location: '/loop' }).end()
    else response.writeHead(target === '/broken' ? 503 : 404).end()
  })
  for (const [target, code, reason] of [
    ['/page', 1, 'web page'],
    ['/text', 4, '/text: bundle: '],
    ['/large', 1, `over ${MAX_REGISTRY_BYTES} bytes`],
    ['/elsewhere', 1, 'redirects from http: to https:'],
    ['/loop', 1, 'more than 5 times'],
    ['/broken', 1, 'HTTP 503'],
    ['/none', 3, 'HTTP 404'],
  ] as const) {
    const outcome = await theirs('registry', 'follow', `${url}${target}`, '--trust', pub)
    expect([target, outcome.code, outcome.stderr]).toEqual([target, code, expect.stringContaining(reason)])
  }
})

it.each([
  ['nobody to trust', ['follow', 'FILE'], 2],
  ['no file', ['follow', './none.json', '--trust', 'PUB'], 3],
  ['a key that is not there', ['follow', 'FILE', '--trust', './none.pub'], 2],
  ['another scheme', ['follow', 'ftp://127.0.0.1/x', '--trust', 'PUB'], 2],
  ['a password in the address', ['follow', 'http://me:secret@127.0.0.1:1/x', '--trust', 'PUB'], 2],
  ['a name of IPNS and no daemon', ['follow', 'ipns://models.example.org', '--trust', 'PUB'], 2],
  ['a daemon for a file', ['follow', 'FILE', '--trust', 'PUB', '--backend', 'kubo=http://127.0.0.1:1'], 2],
  ['a file that is too large', ['follow', 'LARGE', '--trust', 'PUB'], 1],
  ['a directory', ['follow', '.', '--trust', 'PUB'], 2],
  ['no key', ['publish', '-o', './x'], 2],
  ['no output', ['publish', '--key', 'KEY'], 2],
  ['a name that is none', ['publish', '--key', 'KEY', '-o', './x', '--name', '../x'], 2],
  ['a registry that is not followed', ['ls', 'none'], 3],
])('%s', async (_what, args, code) => {
  const here = await place()
  const values: Readonly<Record<string, string>> = {
    FILE: await publish(here, '1.0'),
    PUB: here.pub,
    KEY: here.key,
    LARGE: path.join(here.folder, 'large'),
  }
  await writeFile(path.join(here.folder, 'large'), '')
  await truncate(path.join(here.folder, 'large'), MAX_REGISTRY_BYTES + 1)
  const outcome = await here.ours('registry', ...args.map((arg) => values[arg] ?? arg))
  expect(outcome).toMatchObject({ code })
  expect(outcome.stderr).not.toContain('secret')
})

it('a switch that is off is not asked over', async () => {
  const { folder, pub } = await place()
  const args = ['registry', 'follow', 'http://127.0.0.1:1/x', '--trust', pub, '--store', path.join(folder, 'store')]
  expect(await cli(args, { environment: { IPFS_ACCELERATE_NETWORK: 'off' } })).toMatchObject({ code: 5 })
})

it('is followed by a name of IPNS', async (context) => {
  const kubo = await startKubo(kuboOrSkip(context))
  onTestFinished(() => kubo.stop())
  const here = await place()
  const file = await publish(here, '1.0')
  const cid = (await kubo.ipfs(['add', '--quieter', file])).stdout.toString().trim()
  const name = (await kubo.ipfs(['--offline', 'name', 'publish', '--quieter', cid])).stdout.toString().trim()
  const source = `ipns://${name}`
  const followed = await here.theirs('registry', 'follow', source, '--trust', here.pub, '--backend', `kubo=${kubo.api}`)
  expect(followed).toMatchObject({ code: 0, stderr: '' })
  expect(followed.lines).toMatchObject([{ name: NAME, source, change: 'new' }])
})

it('an edition that cannot be written, or has no model, is not counted as published', async () => {
  const here = await place()
  const { folder, ours, key } = here
  const target = await publish(here, '1.0')
  const storage = await openStorage({ directory: path.join(folder, 'ours'), environment: {} })
  onTestFinished(() => storage.close())
  const editions = async (): Promise<string[]> => {
    const names: string[] = []
    for await (const { name, cid } of storage.names.list({ prefix: '.published/' })) names.push(`${name} ${cid}`)
    return names
  }
  const before = await editions()
  expect(before).toHaveLength(1)
  const args = ['registry', 'publish', '--key', key]
  for (const name of [NAME, 'other.example.org']) {
    const again = await ours(...args, '--name', name, '-o', target)
    expect(again).toMatchObject({ code: 2, error: { message: expect.stringContaining('--force') } })
    expect(await ours(...args, '--name', name, '-o', path.join(folder, 'none', 'x.json'))).toMatchObject({ code: 3 })
    const nothing = path.join(folder, 'nothing.json')
    const empty = await ours(...args, '--name', name, '--prefix', 'none/', '-o', nothing)
    expect(empty).toMatchObject({ code: 2, error: { message: expect.stringContaining('none/') } })
    await expect(readFile(nothing)).rejects.toMatchObject({ code: 'ENOENT' })
  }
  expect(await editions()).toEqual(before)
  const meant = ['--name', NAME, '--prefix', 'none/', '--allow-empty', '-o', target, '--force']
  expect((await ours(...args, ...meant)).lines).toMatchObject([{ models: 0 }])
  expect(await editions()).not.toEqual(before)
})

it('what is written replaces no file that is read for it: a key, a certificate, the store', async () => {
  const here = await place()
  const { folder, ours, key } = here
  await publish(here, '1.0')
  const certificate = path.join(folder, 'us.crt')
  await writeFile(certificate, 'a certificate')
  const [linked, alias] = [path.join(folder, 'linked.pem'), path.join(folder, 'alias.pem')]
  await link(key, linked)
  await symlink(key, alias)
  const stored = path.join(folder, 'ours', 'format')
  const files = [key, certificate, stored]
  const before = await Promise.all(files.map(async (file) => [file, await readFile(file, 'utf8')]))
  const [publishing, signing] = [
    ['registry', 'publish'],
    ['model', 'sign', 'org/tiny'],
  ]
  const signers = ['--key', key, '--certificate', certificate]
  for (const [args, output, named] of [
    [[...publishing, '--key', key], key, `--key ${key}`],
    [[...publishing, '--key', alias], key, `--key ${alias}`],
    [[...publishing, '--key', linked], path.join(folder, '.', 'us.pem'), `--key ${linked}`],
    [[...publishing, ...signers], certificate, `--certificate ${certificate}`],
    [[...signing, '--key', key], key, `--key ${key}`],
    [[...signing, ...signers], certificate, `--certificate ${certificate}`],
    [['model', 'pack', 'org/tiny'], stored, path.join(folder, 'ours')],
    [['model', 'sbom', 'org/tiny'], stored, path.join(folder, 'ours')],
  ] as const) {
    const outcome = await ours(...args, '-o', output, '--force')
    expect({ args, output, ...outcome }).toMatchObject({ args, output, code: 2, lines: [] })
    expect(outcome.stderr).toContain(`-o ${output} is `)
    expect(outcome.stderr).toContain(named)
  }
  expect(await Promise.all(files.map(async (file) => [file, await readFile(file, 'utf8')]))).toEqual(before)
  // Nothing was signed either.
  expect((await ours('model', 'verify', 'org/tiny')).lines).toMatchObject([{ fingerprint: null }])
})

it('a file is remembered by its absolute path, so another of that name elsewhere is another place', async () => {
  const here = await place()
  const { folder, theirs, pub } = here
  const relative = async (file: string, ...more: string[]): Promise<Outcome> =>
    theirs('registry', 'follow', path.relative(process.cwd(), file), ...more)
  const first = await publish(here, '1.0', 'registry.json')
  expect((await relative(first, '--trust', pub)).lines).toMatchObject([{ source: first, change: 'new' }])
  // Whom to trust is known of that place alone.
  expect((await theirs('registry', 'follow', first)).lines).toMatchObject([{ change: 'same' }])
  expect((await theirs('registry', 'follow', pathToFileURL(first).href)).lines).toMatchObject([{ source: first }])
  await mkdir(path.join(folder, 'elsewhere'))
  const other = path.join(folder, 'elsewhere', 'registry.json')
  await here.ours('registry', 'publish', '--key', here.key, '--name', 'other.example.org', '-o', other)
  expect((await relative(other, '--trust', pub)).lines).toMatchObject([{ name: 'other.example.org', source: other }])
  expect((await theirs('registry', 'ls')).lines).toMatchObject([{ source: first }, { source: other }])
  expect(await theirs('registry', 'follow', 'file://other.example.org/x')).toMatchObject({ code: 2 })
})
