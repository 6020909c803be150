import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { inspect } from 'node:util'

import { loadConfiguration, endpointsOf } from '@x/configuration'
import { expect, it } from 'vitest'

import { CID, folderWith } from './support.ts'

const SECRET = 'sk-canary-0123456789'

/** What is wrong with an endpoint of these lines, below two others. */
const endpoint = (...lines: readonly string[]): string => ['# the lab', '[endpoints.lab]', ...lines].join('\n')
const URL_LINE = 'url = "https://lab.example"'
const API_LINE = 'api = "openai"'
const MODELS = `models = { ${CID} = "theirs" }`

it.each([
  ['[endpoints.lab', 'ipfs-accelerate.toml:1: '],
  [`a = 1\ntoken = "${SECRET}`, 'ipfs-accelerate.toml:2: unfinished string'],
  [`a = ${SECRET}`, 'ipfs-accelerate.toml:1: invalid value'],
  [SECRET, 'ipfs-accelerate.toml:1: '],
  ['a = 1\na = 2', 'ipfs-accelerate.toml:2: trying to redefine'],
  ['\n[endpoint.lab]', 'ipfs-accelerate.toml:2: endpoint: is no key that is known; did you mean endpoints?'],
  ['[constructor]', 'ipfs-accelerate.toml:1: document contains an unsafe property'],
  ['x = 1', 'ipfs-accelerate.toml:1: x: is no key that is known; there is endpoints, server, gates, storage, backends'],
  [
    '[server]\nuse-endpoint = "prefer"',
    ':2: server.use-endpoint: is no key that is known; did you mean use-endpoints?',
  ],
  [`[server]\nuse-endpoints = "${SECRET}"`, ':2: server.use-endpoints: is none of fallback, prefer'],
  [`[gates]\nremote-inference = "${SECRET}"`, ':2: gates.remote-inference: is none of off, local, prefer, require, '],
  ['gates.kubo = "of"', ':1: gates.kubo: is none of off, local, prefer, require, true, false'],
  [
    '[gates]\nremote-inferense = 1',
    ':2: gates.remote-inferense: is no key that is known; did you mean remote-inference?',
  ],
  ['endpoints = 1', ':1: endpoints: is no table'],
  ['[endpoints]\nurl = "https://lab.example"', ':2: endpoints.url: is no table'],
  [endpoint(API_LINE, MODELS), ':2: endpoints.lab.url: is missing'],
  [endpoint('url = 1', API_LINE, MODELS), ':3: endpoints.lab.url: is no string'],
  [endpoint(`url = "${SECRET}"`, API_LINE, MODELS), ':3: endpoints.lab.url: is no URL of http or https'],
  [
    endpoint(`url = "https://me:${SECRET}@a.example"`, API_LINE, MODELS),
    ':3: endpoints.lab.url: has a user or a password',
  ],
  [endpoint(`url = "https://a.example?key=${SECRET}"`, API_LINE, MODELS), ':3: endpoints.lab.url: has a query'],
  [endpoint(URL_LINE, `api = "${SECRET}"`, MODELS), ':4: endpoints.lab.api: is none of openai, tei, ipfs-accelerate'],
  [endpoint(URL_LINE, API_LINE), ':2: endpoints.lab.models: is missing'],
  [endpoint(URL_LINE, API_LINE, 'models = {}'), ':5: endpoints.lab.models: has no model'],
  [
    endpoint(URL_LINE, API_LINE, '[endpoints.lab.models]', `${CID} = "a"`, 'x = "b"'),
    ':7: endpoints.lab.models.x: is no CID',
  ],
  [endpoint(URL_LINE, API_LINE, '', `models.${CID} = ""`), `:6: endpoints.lab.models.${CID}: is empty`],
  [endpoint(URL_LINE, API_LINE, MODELS, `token = "${SECRET}"`), ':6: endpoints.lab.token: is not read from here'],
  [endpoint(URL_LINE, API_LINE, MODELS, `token-env = "${SECRET}"`), ':6: endpoints.lab.token-env: is no name of an'],
  [
    endpoint(URL_LINE, API_LINE, MODELS, 'token-env = "A"', 'token-file = "a"'),
    ':7: endpoints.lab.token-file: is beside',
  ],
  [
    endpoint(URL_LINE, API_LINE, MODELS, 'tokenfile = "a"'),
    ':6: endpoints.lab.tokenfile: is no key that is known; did',
  ],
  [`[endpoints."la b"]\n${[URL_LINE, API_LINE, MODELS].join('\n')}`, ':1: endpoints."la b": is no name of an endpoint'],
])('%j is an error at its line that says what, and shows no value', async (text, message) => {
  const folder = await folderWith({ 'ipfs-accelerate.toml': text })
  const error = await thrownBy(loadConfiguration({ directory: folder, environment: { XDG_CONFIG_HOME: folder } }))
  expect(error).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(message) })
  expect(error.message.startsWith(`${path.join(folder, 'ipfs-accelerate.toml')}:`)).toBe(true)
  expect(whole(error)).not.toContain(SECRET)
})

it('names the first of several', async () => {
  const folder = await folderWith({ 'a.toml': 'gates.x = 1\n[server]\ny = 2\n[endpoint]' })
  const file = path.join(folder, 'a.toml')
  expect((await thrownBy(loadConfiguration({ file }))).message).toMatch(`${file}:1: gates.x: `)
})

it.each([
  ['a file that is not there', 'none.toml', 'ENOENT'],
  ['a folder', '.', 'EISDIR'],
  ['what is no text', 'bytes.toml', 'it is not UTF-8'],
  ['what no person writes', 'large.toml', 'it has over 65536 bytes'],
])('says that it cannot read %s', async (_which, file, why) => {
  const folder = await folderWith({ 'large.toml': `# ${'a'.repeat(65_536)}` })
  if (file === 'bytes.toml') await writeFile(path.join(folder, file), Uint8Array.of(0xff))
  const error = await thrownBy(loadConfiguration({ file, directory: folder }))
  expect(error).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(`cannot be read: ${why}`) })
})

it.each([
  ['token-env = "UNSET_HERE"', 'the variable that it names is not set'],
  [`token-env = "sk_${'c'.repeat(20)}"`, 'the variable that it names is not set'],
  ['token-file = "none"', 'the file that it names cannot be read: ENOENT'],
  [`token-file = "${SECRET}"`, 'the file that it names cannot be read: ENOENT'],
  ['token-file = "two"', 'the file that it names has no token alone'],
])('says of a token that is not there where it was to be: %s', async (line, what) => {
  const folder = await folderWith({ 'a.toml': endpoint(URL_LINE, API_LINE, MODELS, line), two: `${SECRET}\n${SECRET}` })
  const configuration = await loadConfiguration({ file: path.join(folder, 'a.toml') })
  const error = await thrownBy(endpointsOf(configuration, { environment: {} }))
  expect(error.message).toBe(`${path.join(folder, 'a.toml')}:6: endpoints.lab.${line.split(' ')[0]}: ${what}`)
  expect(whole(error)).not.toMatch(/canary|sk_c/)
})

/** All that a log could show of it. */
const whole = (error: Error): string => inspect(error, { depth: 10, showHidden: true })

async function thrownBy(work: Promise<unknown>): Promise<Error> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof Error) return error
  throw new Error('nothing was thrown')
}
