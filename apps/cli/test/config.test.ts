import { chmod, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { describe, expect, it, onTestFinished } from 'vitest'

import { cli, temporaryDirectory, type Outcome } from './harness.ts'

const CID = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const LAB = `[endpoints.lab] # of the lab\nurl = "https://lab.example"\napi = "tei"\n\n[endpoints.lab.models]\n${CID} = "theirs"\n`

interface Setup {
  file: string
  config: (...argv: string[]) => Promise<Outcome>
  text: () => Promise<string>
}

/** A file that the environment names. */
async function setup(text?: string): Promise<Setup> {
  const file = path.join(await temporaryDirectory(), 'a.toml')
  if (text !== undefined) await writeFile(file, text, { mode: 0o600 })
  const environment = { IPFS_ACCELERATE_CONFIG: file }
  return {
    file,
    config: (...argv) => cli(['config', ...argv, '--json'], { environment }),
    text: () => readFile(file, 'utf8'),
  }
}

describe('config set', () => {
  it('makes the file, and get and status have what it says, with its line', async () => {
    const { file, config, text } = await setup()
    expect(await config('set', 'gates.kubo', 'off')).toMatchObject({ code: 0, lines: [{ file, set: ['gates.kubo'] }] })
    expect(await text()).toBe('[gates]\nkubo = "off"\n')
    expect((await config('get', 'gates.kubo')).lines).toEqual([{ key: 'gates.kubo', value: 'off', file }])
    const store = await temporaryDirectory()
    const environment = { IPFS_ACCELERATE_CONFIG: file }
    const { lines } = await cli(['status', '--json', '--store', store], { environment })
    const reason = `Set in ${file}:2: kubo=off.`
    expect(lines[0]?.['gates']).toContainEqual(expect.objectContaining({ feature: 'kubo', position: 'off', reason }))
    const named = await cli(['status', '--json', '--store', store, '--config', file])
    expect(named.lines[0]?.['gates']).toEqual(lines[0]?.['gates'])
  })

  it.each([
    [
      'a value, and keeps its comment',
      '[gates]\nkubo = "off" # a #b\n# end\n',
      '[gates]\nkubo = "prefer" # a #b\n# end\n',
    ],
    ['one with a # in it', '[gates]\n"kubo"="off"# "c"\n', '[gates]\n"kubo"="prefer"# "c"\n'],
    [
      'in its table',
      `# a\n[gates]\n# b\ns3 = "off"\n\n# c\n${LAB}`,
      `# a\n[gates]\n# b\ns3 = "off"\nkubo = "prefer"\n\n# c\n${LAB}`,
    ],
    ['beside dotted keys', 'gates.s3 = "off"\n# z\n', 'gates.s3 = "off"\ngates.kubo = "prefer"\n# z\n'],
    ['in lines that end as on Windows', '[gates]\r\ns3 = "off"\r\n', '[gates]\r\ns3 = "off"\r\nkubo = "prefer"\r\n'],
    ['without a last line break', LAB.trim(), `${LAB}\n[gates]\nkubo = "prefer"\n`],
    ['one of three quotes', '[gates]\nkubo = """\\\n  off"""\ns3 = "off"\n', '[gates]\nkubo = "prefer"\ns3 = "off"\n'],
  ])('changes %s', async (_what, before, after) => {
    const { config, text } = await setup(before)
    expect(await config('set', 'gates.kubo', 'prefer')).toMatchObject({ code: 0 })
    expect(await text()).toBe(after)
  })

  it('says all of an endpoint at once', async () => {
    const { config, text } = await setup('# mine\n')
    const pairs = ['url', 'https://lab.example', 'api', 'tei', `models.${CID}`, '123', 'token-env', 'LAB_TOKEN']
    const argv = pairs.map((each, index) => (index % 2 === 0 ? `endpoints.lab.${each}` : each))
    expect(await config('set', ...argv)).toMatchObject({ code: 0 })
    expect(await text()).toContain(`[endpoints.lab.models]\n${CID} = "123"\n`)
    expect((await config('validate')).code).toBe(0)
  })

  it.each([
    ['a secret', ['endpoints.lab.token', 'sk-canary'], /endpoints\.lab\.token: is not read from here.*token-env/],
    ['a password', ['endpoints.lab.url', 'https://a:sk-canary@b.example'], /has a user or a password; token-env/],
    ['a gate that there is not', ['gates.kubbo', 'off'], /gates\.kubbo: is no key that is known; did you mean kubo\?/],
    ['a position that there is not', ['gates.kubo', 'sk-canary'], /gates\.kubo: is none of off, local/],
    ['half an endpoint', ['endpoints.other.api', 'tei'], /endpoints\.other\.url: is missing/],
    ['what is no key', ['gates kubo', 'sk-canary'], /^that is no key/],
    ['a key with a line in it', ['gates.s3 = "off"\ngates.kubo', 'off'], /^that is no key/],
    ['a table', ['gates', '{ kubo = "off" }'], /gates: is a table; set its keys/],
  ])('refuses %s, leaves the file as it is and shows no value', async (_what, pair, message) => {
    const { config, text } = await setup(LAB)
    const outcome = await config('set', ...pair)
    expect(outcome).toMatchObject({ code: 2, error: { message: expect.stringMatching(message) } })
    expect(outcome.stderr).not.toContain('canary')
    expect(await text()).toBe(LAB)
  })

  it('says where it cannot change a key by line', async () => {
    const { file, config, text } = await setup('\ngates = { kubo = "off" }\n')
    const { code, error } = await config('set', 'gates.kubo', 'prefer')
    expect([code, error?.['message']]).toEqual([
      2,
      `${file}:2: gates.kubo: stands where it cannot be changed by line; edit it by hand`,
    ])
    expect(await text()).toBe('\ngates = { kubo = "off" }\n')
  })

  it('keeps the mode of the file, and a link to it', async (context) => {
    if (process.platform === 'win32') context.skip('files there have no such modes')
    const { file, config } = await setup('')
    await chmod(file, 0o640)
    const link = path.join(path.dirname(file), 'link.toml')
    await symlink(file, link)
    expect(await config('set', 'gates.kubo', 'off', '--config', link)).toMatchObject({ code: 0 })
    expect(await readFile(link, 'utf8')).toBe(await readFile(file, 'utf8'))
    expect([await readFile(file, 'utf8'), (await stat(file)).mode & 0o777]).toEqual(['[gates]\nkubo = "off"\n', 0o640])
  })

  it('mends a file that is wrong', async () => {
    const { config } = await setup('[gates]\nkubo = "of"\n')
    expect(await config('validate')).toMatchObject({ code: 2, error: { message: expect.stringMatching(/:2: gates/) } })
    expect(await config('set', 'gates.kubo', 'off')).toMatchObject({ code: 0 })
    expect(await config('validate')).toMatchObject({ code: 0, lines: [{ valid: true }] })
  })
})

describe('config unset', () => {
  it('takes out a key, and a table with all below it', async () => {
    const { config, text } = await setup(`# a\n[gates]\nkubo = "off" # k\ns3 = "off"\n\n${LAB}\n# z\n`)
    expect(await config('unset', 'gates.kubo')).toMatchObject({ code: 0 })
    expect(await config('unset', 'endpoints.lab')).toMatchObject({ code: 0 })
    expect(await text()).toBe('# a\n[gates]\ns3 = "off"\n\n\n\n# z\n')
    expect(await config('unset', 'gates.kubo')).toMatchObject({ code: 3, error: { code: 'NOT_FOUND' } })
    expect(await config('get', 'gates.kubo')).toMatchObject({ code: 3, error: { code: 'NOT_FOUND' } })
  })

  it('refuses to take out what has to be there', async () => {
    const { config, text } = await setup(LAB)
    const message = expect.stringMatching(/endpoints\.lab\.url: is missing/)
    expect(await config('unset', 'endpoints.lab.url')).toMatchObject({ code: 2, error: { message } })
    expect(await text()).toBe(LAB)
  })
})

it('config path is where the file is, or would be', async () => {
  const home = await temporaryDirectory()
  const { file, config } = await setup()
  expect((await config('path')).lines).toEqual([{ file, read: [] }])
  const environment = { IPFS_ACCELERATE_CONFIG: '', XDG_CONFIG_HOME: home, APPDATA: home }
  const { lines } = await cli(['config', 'path', '--json'], { environment })
  expect(lines[0]?.['file']).toMatch(/ipfs-accelerate\.toml$/)
})

it('every other command names the line of a configuration that is wrong', async () => {
  const { file } = await setup('\n[gates]\nkubo = 1\n')
  const outcome = await cli(['ls', '--json', '--config', file])
  expect(outcome).toMatchObject({ code: 2, error: { message: expect.stringContaining(`${file}:3: gates.kubo: `) } })
})

it('the limit of the file is that of the store', async () => {
  const { file, config } = await setup('')
  expect(await config('set', 'storage.max-bytes', '1kB')).toMatchObject({ code: 0 })
  const store = await temporaryDirectory()
  const large = path.join(store, '..', `${path.basename(store)}.bin`)
  await writeFile(large, new Uint8Array(100_000))
  onTestFinished(() => rm(large))
  const add = (...more: string[]) => cli(['add', large, '--json', '--config', file, '--store', store, ...more])
  expect(await add()).toMatchObject({ code: 1, error: { code: 'NO_SPACE' } })
  expect(await add('--max-bytes', '1000000000')).toMatchObject({ code: 0 })
})

it.each([
  [
    '[backends.room]\nkind = "store"\ndirectory = "other"\n',
    /a\.toml:1: backends\.room: no command opens a store backend in this version/,
  ],
])('refuses what no command does yet: %j', async (text, message) => {
  const { file } = await setup(text)
  const outcome = await cli(['ls', '--json', '--config', file])
  expect(outcome).toMatchObject({ code: 2, error: { message: expect.stringMatching(message) } })
})

it('what a reference alone names is not opened against the file', async () => {
  const { file } = await setup('[gates]\nhub = "off"\n')
  const store = await temporaryDirectory()
  const outcome = await cli(['model', 'pull', 'hf://org/name', '--json', '--config', file, '--store', store])
  expect(outcome).toMatchObject({ code: 5, error: { feature: 'hub', message: expect.stringContaining(`${file}:2`) } })
})
