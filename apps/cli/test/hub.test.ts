import { spawnSync } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import path from 'node:path'

import { fixtureModel, flipStoredByte, writeFixtureModel } from '@x/fixtures'
import { fixtureCommit, startFixtureHub, type FixtureHub, type FixtureHubOptions } from '@x/fixtures/hub'
import { expect, it, onTestFinished } from 'vitest'

import { pythonOrSkip } from '../../../tooling/python/python-or-skip.ts'
import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { cli, temporaryDirectory } from './harness.ts'

const REPO = 'org/tiny'
const SOME_CID = 'bafybeidskjjd4zmr7oh6ku6wp72vvbxyibcli2r6if3ocdcy7jjjusvl2u'
/** For so long that it is not waited for. */
const busy = (_: unknown, response: ServerResponse) => response.writeHead(503, { 'retry-after': '99999' }).end()
const files = (): Record<string, Uint8Array<ArrayBuffer>> => ({
  ...fixtureModel('tiny-bert').files,
  'README.md': new TextEncoder().encode('---\nlicense: mit\npipeline_tag: feature-extraction\n---\n'),
  'pytorch_model.bin': new Uint8Array(100_000).fill(1),
})

async function setup(options: Partial<FixtureHubOptions> = {}): Promise<{
  folder: string
  hub: FixtureHub
  commit: string
  run: (args: string[], more?: Record<string, string>) => ReturnType<typeof cli>
}> {
  const folder = await temporaryDirectory()
  const made = fixtureCommit(files(), { lfs: ['onnx/model.onnx', 'pytorch_model.bin'] })
  const hub = await startFixtureHub({
    repositories: { [REPO]: { commits: [made], refs: { main: made.commit } } },
    ...options,
  })
  onTestFinished(() => hub.close())
  const environment = { HF_ENDPOINT: hub.url, HF_HOME: path.join(folder, 'hf') }
  const run = (args: string[], more: Record<string, string> = {}): ReturnType<typeof cli> =>
    cli([...args, '--json', '--store', path.join(folder, 'store')], { environment: { ...environment, ...more } })
  return { folder, hub, commit: made.commit, run }
}

it('a model is pulled from a hub, run offline, and a CID is never answered by the hub', async () => {
  const { hub, commit, run, folder } = await setup()
  const pulled = await run(['model', 'pull', `hf://${REPO}`])
  expect(pulled.lines).toMatchObject([{ commit, files: 5, omitted: 1, receipt: { sources: [{ name: 'hub' }] } }])
  const cid = String(pulled.lines[0]?.['cid'])
  hub.requests.length = 0
  const offline = { IPFS_ACCELERATE_NETWORK: 'off' }
  const ran = await run(['run', 'feature-extraction', '--model', `hf://${REPO}`, 'the quick fox'], offline)
  expect(ran).toMatchObject({ code: 0 })
  expect((await run(['model', 'show', REPO], offline)).lines).toMatchObject([{ cid, task: 'feature-extraction' }])
  expect(await run(['model', 'pull', `hf://${REPO}@v2`], offline)).toMatchObject({ code: 5 })
  expect(await run(['model', 'pull', `hf://${REPO}@v2`], { HF_HUB_OFFLINE: '1' })).toMatchObject({ code: 5 })
  const empty = ['--json', '--store', path.join(folder, 'empty')]
  const environment = { HF_ENDPOINT: hub.url }
  expect(
    await cli(['run', 'feature-extraction', '--model', `ipfs://${cid}`, 'x', ...empty], { environment }),
  ).toMatchObject({
    code: 3,
  })
  expect(await cli(['model', 'pull', `ipfs://${cid}`, ...empty], { environment })).toMatchObject({ code: 2 })
  expect(hub.requests).toEqual([])
})

it.each([
  ['a repository that is not there', ['hf://org/none'], 3],
  ['a revision that is not there', [`hf://${REPO}@v9`], 3],
  ['a variant that is not there', [REPO, '--dtype', 'q4'], 3],
  ['no variant', [REPO, '--dtype', 'q5'], 2],
  ['a pattern that matches nothing', [REPO, '--include', '*.gguf'], 2],
  ['a path', ['./x'], 2],
  ['no reference', ['hf://org//x'], 2],
  ['places for a hub', [`hf://${REPO}`, '--from', 'gateway=http://127.0.0.1:1'], 2],
  ['a mirror for a hub', [`hf://${REPO}`, '--from', 'mirror=http://127.0.0.1:1'], 2],
  ['a manifest for a hub', [`hf://${REPO}`, '--manifest', SOME_CID], 2],
  ['a mirror for a name that only the hub knows', [REPO, '--from', 'mirror=http://127.0.0.1:1'], 2],
  ['a variant of a CID', [SOME_CID, '--from', 'gateway=http://127.0.0.1:1', '--dtype', 'fp32'], 2],
  ['all of a CID', [SOME_CID, '--from', 'gateway=http://127.0.0.1:1', '--all'], 2],
  ['some of a CID', [SOME_CID, '--from', 'gateway=http://127.0.0.1:1', '--include', '*.json'], 2],
  ['not some of a CID', [SOME_CID, '--from', 'gateway=http://127.0.0.1:1', '--exclude', '*.json'], 2],
])('%s', async (_what, args, code) => {
  const { run } = await setup()
  expect(await run(['model', 'pull', ...args])).toMatchObject({ code })
})

it('a token goes to the hub that it is for, and is not printed when it is refused', async () => {
  const { run, hub } = await setup({ token: 'hf_right' })
  expect(await run(['model', 'pull', REPO], { HF_TOKEN: 'hf_right' })).toMatchObject({ code: 0 })
  expect(hub.requests.every(({ headers }) => headers.authorization === 'Bearer hf_right')).toBe(true)
  const refused = await (await setup({ token: 'hf_right' })).run(['model', 'pull', REPO], { HF_TOKEN: 'hf_wrong' })
  expect(refused.code).toBe(1)
  expect(refused.stderr).not.toContain('hf_wrong')
})

it('is signed, verified, and refused when somebody else signed it or a byte was changed', async () => {
  const { run, folder } = await setup()
  const { lines } = await run(['model', 'pull', REPO])
  const cid = String(lines[0]?.['cid'])
  const [ours, theirs] = ['ours', 'theirs'].map((name) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return {
      key: path.join(folder, `${name}.pem`),
      pub: path.join(folder, `${name}.pub`),
      privateText: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      publicText: publicKey.export({ type: 'spki', format: 'pem' }),
    }
  })
  if (!ours || !theirs) throw new Error('no keys')
  for (const { key, pub, privateText, publicText } of [ours, theirs]) {
    await writeFile(key, privateText)
    await writeFile(pub, publicText)
  }
  expect((await run(['model', 'verify', REPO])).lines).toMatchObject([{ cid, verdict: 'unsigned' }])
  expect((await run(['model', 'verify', REPO, '--trust', ours.pub])).code).toBe(4)
  const signature = path.join(folder, 'model.sig')
  expect((await run(['model', 'sign', REPO, '--key', ours.key, '-o', signature])).lines).toMatchObject([{ cid }])
  expect((await run(['model', 'verify', REPO, '--trust', ours.pub])).lines).toMatchObject([{ cid, verdict: 'trusted' }])
  // Again is in place of the first, and one that is not trusted is refused once.
  const again = (await run(['model', 'sign', REPO, '--key', ours.key])).lines[0]
  const refused = await run(['model', 'verify', REPO, '--trust', theirs.pub])
  expect(refused).toMatchObject({ code: 4, lines: [{ reasons: [{ code: 'unknown-key' }] }] })
  // By the name that the refusal has for the key, which the signer was told.
  expect(refused.stderr).toContain(`signed by the key ${String(again?.['hint'])}`)
  const theirHint = createHash('sha256').update(theirs.publicText).digest('hex')
  expect(refused.stderr).toContain(`${theirs.pub} is ${theirHint}`)
  const text = await cli(['model', 'verify', REPO, '--trust', theirs.pub, '--store', path.join(folder, 'store')])
  expect(`${text.stdout}${text.stderr}`.split('signed by the key')).toHaveLength(2)
  expect((await run(['model', 'verify', REPO, '--trust', path.join(folder, 'none')])).code).toBe(2)
  // Before it is run, by options or by the environment.
  const asked = ['run', 'feature-extraction', 'the quick fox', '--model', REPO]
  const keys = { IPFS_ACCELERATE_UNSIGNED: 'refuse', IPFS_ACCELERATE_TRUSTED_KEYS: `org/*=${ours.pub}` }
  expect(await run(asked, keys)).toMatchObject({ code: 0, stderr: '' })
  expect(await run([...asked, '--trust', ours.pub])).toMatchObject({ code: 0 })
  expect(await run([...asked, '--trust', theirs.pub], keys)).toMatchObject({ code: 4, lines: [] })
  const elsewhereOnly = { ...keys, IPFS_ACCELERATE_TRUSTED_KEYS: `other/*=${ours.pub}` }
  expect((await run(asked, elsewhereOnly)).error).toMatchObject({ message: expect.stringMatching(/^org\/tiny: /) })
  expect(await run([...asked, '--unsigned', 'no'])).toMatchObject({ code: 2 })
  expect(await run(asked, { IPFS_ACCELERATE_PICKLE: 'no' })).toMatchObject({ code: 2 })
  const unsigned = path.join(folder, 'unsigned')
  await writeFixtureModel('tiny-bert', unsigned)
  const inPlace = ['run', 'feature-extraction', 'the quick fox', '--model', unsigned]
  expect(await run(inPlace, keys)).toMatchObject({ code: 4, lines: [] })
  const warned = await run([...inPlace, '--unsigned', 'warn'])
  expect(warned).toMatchObject({ code: 0, stderr: expect.stringContaining('the model is not signed') })
  await writeFile(path.join(unsigned, 'pytorch_model.bin'), 'x')
  expect(await run([...inPlace, '--pickle', 'refuse'])).toMatchObject({ code: 5, lines: [] })
  // It goes along.
  const car = path.join(folder, 'tiny.car')
  await run(['model', 'pack', REPO, '-o', car, '--name', 'me/tiny@1'])
  const elsewhere = ['--json', '--store', path.join(folder, 'elsewhere')]
  expect((await cli(['model', 'unpack', car, ...elsewhere])).lines).toMatchObject([{ cid, name: 'me/tiny' }])
  expect((await cli(['model', 'verify', 'me/tiny@1', '--trust', ours.pub, ...elsewhere])).lines).toMatchObject([
    { verdict: 'trusted' },
  ])
  const sbom = await cli(['model', 'sbom', 'me/tiny@1', ...elsewhere])
  expect(sbom.lines[0]).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6' })
  await flipStoredByte(path.join(folder, 'elsewhere'), files()['onnx/model.onnx'] ?? new Uint8Array())
  expect((await cli(['model', 'verify', 'me/tiny@1', '--trust', ours.pub, ...elsewhere])).code).toBe(4)
})

it('a Hugging Face cache is laid out, listed, and taken in without copying', async () => {
  const { run, hub, folder, commit } = await setup()
  const { lines } = await run(['model', 'pull', REPO, '--all'])
  const cid = lines[0]?.['cid']
  const home = path.join(folder, 'laid-out')
  const laidOut = await run(['cache', 'export', REPO, '--to', home])
  expect(laidOut).toMatchObject({ code: 0, stderr: '' })
  expect(laidOut.lines).toMatchObject([{ repo: REPO, commit }])
  const environment = { HF_HOME: home, HF_ENDPOINT: hub.url }
  const other = ['--json', '--store', path.join(folder, 'other')]
  expect((await cli(['cache', 'ls', ...other], { environment })).lines).toMatchObject([
    { repo: REPO, commit, refs: ['main'], files: 6 },
  ])
  hub.requests.length = 0
  expect((await cli(['cache', 'import', REPO, ...other], { environment })).lines).toMatchObject([{ cid, commit }])
  expect((await cli(['model', 'verify', REPO, ...other], { environment })).lines).toMatchObject([{ cid }])
  expect(hub.requests).toEqual([])
  // A pull takes the bytes from there, and only asks the hub what they have to be.
  const third = ['--json', '--store', path.join(folder, 'third')]
  await cli(['model', 'pull', REPO, '--all', ...third], { environment })
  expect(hub.requests.filter(({ url }) => url.includes('/resolve/'))).toEqual([])
  expect((await cli(['cache', 'import', 'org/none', ...other], { environment })).code).toBe(3)
  expect((await cli(['cache', 'ls', '--cache', path.join(folder, 'nowhere'), ...other])).code).toBe(3)
  // A home is no cache, and a cache no home.
  const hubDirectory = path.join(home, 'hub')
  expect(await cli(['cache', 'ls', '--cache', hubDirectory, ...other])).toMatchObject({ code: 0, lines: [{}] })
  for (const args of [
    ['cache', 'ls'],
    ['cache', 'import', REPO],
  ]) {
    for (const [named, where] of [
      [['--cache', home], {}],
      [[], { HF_HUB_CACHE: home }],
    ] as const) {
      const outcome = await cli([...args, ...named, ...other], { environment: where })
      expect(outcome).toMatchObject({ code: 3, error: { message: expect.stringContaining(hubDirectory) } })
    }
  }
  expect((await cli(['cache', 'ls', '--cache', folder, ...other])).code).toBe(3)
  expect((await cli(['cache', 'ls', ...other], { environment: { HF_HUB_CACHE: folder } })).code).toBe(0)
  expect(await run(['cache', 'export', REPO, '--to', hubDirectory])).toMatchObject({ code: 2, lines: [] })
})

it.each([
  ['no key', 'nothing', /--key: .*key\.pem: .*no PEM block/],
  ['a public key', 'public', /--key: .*key\.pem: .*no PRIVATE KEY/],
  ['a key of another kind', 'rsa', /--key: .*key\.pem: .*RSA/],
  ['a key without its password', 'encrypted', /--key: .*key\.pem: .*password/],
  ['no certificate', 'certificate', /--certificate: .*certificate\.pem: .*no PEM block/],
] as const)('what signs with %s names the file', async (_what, kind, message) => {
  const { run, folder } = await setup()
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const good = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const texts = {
    nothing: 'nothing',
    public: publicKey.export({ type: 'spki', format: 'pem' }),
    rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    encrypted: privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }),
    certificate: good,
  }
  const [key, certificate] = [path.join(folder, 'key.pem'), path.join(folder, 'certificate.pem')]
  await writeFile(key, texts[kind])
  await writeFile(certificate, 'nothing')
  await run(['model', 'pull', REPO])
  const signed = ['--key', key, ...(kind === 'certificate' ? ['--certificate', certificate] : [])]
  for (const command of [
    ['model', 'sign', REPO],
    ['registry', 'publish', '-o', path.join(folder, 'out')],
  ]) {
    const outcome = await run([...command, ...signed])
    expect(outcome).toMatchObject({ code: 2, error: { message: expect.stringMatching(message) } })
  }
})

it.each(['https://page.example', 'http://127.0.0.1:8080', 'chrome-extension://abcdefgh', '*'])(
  'hub serve --cors %s answers that page',
  async (origin) => {
    const { run, folder } = await setup()
    await run(['model', 'pull', REPO])
    const ended = new AbortController()
    const asked = Promise.withResolvers<string | null>()
    await cli(['hub', 'serve', '--json', '--store', path.join(folder, 'store'), '--cors', origin], {
      signal: ended.signal,
      onStdout: (text) => {
        const { url } = JSON.parse(text)
        void fetch(`${url}/api/models/${REPO}`, { headers: origin === '*' ? {} : { origin } })
          .then((response) => asked.resolve(response.headers.get('access-control-allow-origin')), asked.reject)
          .finally(() => ended.abort())
      },
    })
    expect(await asked.promise).toBe(origin)
  },
)

it.each([
  ['https://page.example/', 'https://page.example does'],
  ['https://Page.example', 'https://page.example does'],
  ['https://page.example/app', 'https://page.example does'],
  ['https://page.example:443', 'https://page.example does'],
  ['notaurl', 'no origin'],
  ['null', 'no origin'],
])('hub serve --cors %s is refused, for no page is of that', async (origin, message) => {
  const { run, folder } = await setup()
  await run(['model', 'pull', REPO])
  const ended = new AbortController()
  const outcome = await cli(['hub', 'serve', '--json', '--store', path.join(folder, 'store'), '--cors', origin], {
    signal: ended.signal,
    onStdout: () => ended.abort(),
  })
  expect(outcome).toMatchObject({ code: 2, error: { code: 'USAGE', message: expect.stringContaining(message) } })
})

it('who is trusted is read alike everywhere', async () => {
  const { run, folder } = await setup()
  await run(['model', 'pull', REPO])
  const file = path.join(folder, 'trusted.pem')
  await writeFile(file, 'nothing')
  for (const command of [
    ['model', 'verify', REPO],
    ['registry', 'follow', file],
  ]) {
    const outcome = await run([...command, '--trust', file])
    const message = `--trust: ${file} holds no public key or certificate in PEM`
    expect(outcome).toMatchObject({ code: 2, error: { message } })
  }
  expect(await run(['registry', 'follow', file, '--trust', `org/*=${file}`])).toMatchObject({ code: 2 })
  for (const token of ['', path.join(folder, 'none'), file]) {
    if (token === file) await writeFile(file, ' ')
    const outcome = await run(['hub', 'serve', '--token-file', token])
    expect(outcome).toMatchObject({ code: 2, error: { message: expect.stringContaining('--token-file') } })
  }
})

it('a model of its own goes into a Hugging Face cache under its own name', async () => {
  const { run, folder } = await setup()
  const directory = path.join(folder, 'my-model')
  await writeFixtureModel('tiny-bert', directory)
  const added = await run(['model', 'add', directory, '--name', 'me/my-model@1.0'])
  const home = ['--to', path.join(folder, 'laid-out')]
  for (const name of ['me/my-model', 'me/my-model@1.0']) {
    expect((await run(['cache', 'export', name, ...home])).lines).toMatchObject([{ repo: 'me/my-model' }])
  }
  const byCid = ['cache', 'export', String(added.lines[0]?.['cid']), ...home]
  expect(await run(byCid)).toMatchObject({ code: 2, error: { message: expect.stringContaining('--repo') } })
  expect((await run([...byCid, '--repo', 'me/other'])).lines).toMatchObject([{ repo: 'me/other' }])
})

it('a name that nobody here knows is named when the hub is not there, and why it would be asked', async () => {
  const { run } = await setup()
  const asked = await run(['model', 'pull', 'acme/tiny@3.0', '--from', 'gateway=http://127.0.0.1:1'])
  expect(asked).toMatchObject({ code: 2 })
  expect(asked.error?.['message']).toBe(
    'acme/tiny@3.0: --from is for a model by CID; this one comes from the hub, for neither this store nor a registry that it follows has that version of that name',
  )
  expect(await run(['model', 'pull', REPO])).toMatchObject({ code: 0 })
  const away = { HF_ENDPOINT: await serveOnLoopback(busy) }
  const gone = await run(['model', 'pull', 'acme/tinyy'], away)
  expect(gone).toMatchObject({ code: 1, error: { code: 'BACKEND', retryable: true } })
  expect(gone.error?.['message']).toMatch(
    /^acme\/tinyy is not here, and the hub cannot be asked: http:\/\/127\.0\.0\.1:\d+: HTTP status 503/,
  )
  const held = await run(['model', 'pull', REPO], away)
  expect(held.error?.['message']).toContain(`${REPO} is here as it was pulled last, and the hub cannot be asked: `)
})

it('a mirror alone is not enough for a CID, and is known where it is no backend', async () => {
  const { run } = await setup()
  const alone = await run(['model', 'pull', SOME_CID, '--from', 'mirror=http://127.0.0.1:1'])
  expect(alone).toMatchObject({ code: 2, error: { message: expect.stringContaining('a mirror has files alone') } })
  const misspelt = await run(['model', 'pull', SOME_CID, '--from', 'miror=http://127.0.0.1:1'])
  expect(misspelt).toMatchObject({ code: 2, error: { message: expect.stringMatching(/"miror" is no.*mirror=URL/) } })
  const elsewhere = await run(['pull', SOME_CID, '--from', 'mirror=http://127.0.0.1:1'])
  expect(elsewhere).toMatchObject({ code: 2, error: { message: expect.not.stringContaining('mirror=URL') } })
})

it('Python finds it there, offline', async (context) => {
  const python = pythonOrSkip(context, 'hub-2')
  const { run, folder } = await setup()
  await run(['model', 'pull', REPO, '--all'])
  const home = path.join(folder, 'laid-out')
  await run(['cache', 'export', REPO, '--to', home])
  const { status, stdout, stderr } = spawnSync(
    python,
    ['-c', `from huggingface_hub import snapshot_download; print(snapshot_download('${REPO}'))`],
    { env: { ...process.env, HF_HOME: home, HF_HUB_OFFLINE: '1' }, encoding: 'utf8' },
  )
  expect({ status, stderr }).toMatchObject({ status: 0 })
  expect(await readFile(path.join(stdout.trim(), 'config.json'))).toEqual(Buffer.from(files()['config.json'] ?? []))
})
