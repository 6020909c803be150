import { chmod } from 'node:fs/promises'
import path from 'node:path'

import {
  endpointsOf,
  loadConfiguration,
  userFile,
  type Configuration,
  type LoadConfigurationOptions,
} from '@x/configuration'
import { decideGates, FEATURE_NAMES, mayReach, withConfiguredGates } from '@x/gating'
import { createRemoteInference } from '@x/remote-inference'
import { expect, it } from 'vitest'

import { CID, folderWith } from './support.ts'

const OWN = path.join('own', 'ipfs-accelerate', 'ipfs-accelerate.toml')
const PROJECT = path.join('project', 'ipfs-accelerate.toml')
const LAB = `[endpoints.lab]\nurl = "https://lab.example"\napi = "tei"\nmodels = { ${CID} = "theirs" }\n`
const OPEN = '[gates]\nremote-inference = "prefer"\n'
const SHUT = '[gates]\nremote-inference = false\n'

type Loaded = Configuration & { warnings: string[]; folder: string; isOpen: (environment?: object) => boolean }

/** As a program in a folder of the project has it. */
async function load(files: Readonly<Record<string, string>>, options: LoadConfigurationOptions = {}): Promise<Loaded> {
  const folder = await folderWith({ 'project/src/a.txt': '', ...files })
  const warnings: string[] = []
  const configuration = await loadConfiguration({
    directory: path.join(folder, 'project', 'src'),
    platform: 'linux',
    ...options,
    environment: { XDG_CONFIG_HOME: path.join(folder, 'own'), ...options.environment },
    onWarning: (message) => warnings.push(message),
  })
  const isOpen = (environment: object = {}): boolean =>
    mayReach(
      decideGates({ environment: { ...environment }, config: configuration.gates }),
      'remote-inference',
      'a.example',
    )
  return { ...configuration, warnings, folder, isOpen }
}

it('is empty where there is no file', async () => {
  expect(await load({})).toMatchObject({
    files: [],
    endpoints: [],
    gates: undefined,
    useEndpoints: undefined,
    warnings: [],
  })
})

it('has what the user says, with tokens by reference', async () => {
  const { folder, ...loaded } = await load({
    [OWN]: [
      `${LAB}token-env = "LAB_TOKEN"`,
      `${LAB.replaceAll('lab', 'two')}token-file = "token"`,
      `[server]\nuse-endpoints = "prefer"\n${OPEN}`,
    ].join('\n'),
    'own/ipfs-accelerate/token': 'of-two\n',
  })
  expect(loaded).toMatchObject({ files: [path.join(folder, OWN)], useEndpoints: 'prefer', warnings: [] })
  expect(loaded.isOpen()).toBe(true)
  const endpoints = await endpointsOf(loaded, { environment: { LAB_TOKEN: 'of-lab' } })
  const models = { [CID]: 'theirs' }
  expect(endpoints).toEqual([
    { name: 'lab', url: 'https://lab.example', api: 'tei', models, token: 'of-lab' },
    { name: 'two', url: 'https://two.example', api: 'tei', models, token: 'of-two' },
  ])
  // What is taken here is taken there.
  createRemoteInference({ endpoints, gates: decideGates({ environment: {} }) })
})

it('takes the environment before a file, and a file before a default', async () => {
  const open = await load({ [OWN]: OPEN })
  expect([open.isOpen(), open.isOpen({ IPFS_ACCELERATE_REMOTE_INFERENCE: 'off' })]).toEqual([true, false])
  // In CI the gate is off by default, and no more than that.
  expect(open.isOpen({ CI: 'true' })).toBe(true)
  const shut = await load({ [OWN]: SHUT })
  expect([shut.isOpen(), shut.isOpen({ IPFS_ACCELERATE_REMOTE_INFERENCE: 'prefer' })]).toEqual([false, true])
})

it("does not obey a project's file where it sends anything elsewhere, and says so", async () => {
  const project = `${LAB}token-file = "/etc/passwd"\n[server]\nuse-endpoints = "prefer"\n${OPEN}`
  const { folder, ...loaded } = await load({ [PROJECT]: project })
  const file = path.join(folder, PROJECT)
  expect(loaded).toMatchObject({ files: [file], endpoints: [], gates: undefined, useEndpoints: undefined })
  expect(loaded.warnings).toEqual([
    `${file}: [endpoints] and [server] not used, for a project's file may be anybody's; --config FILE uses it`,
    `${file}:9: gates.remote-inference: not obeyed, for a project's file only closes gates; --config FILE opens it`,
  ])
  const named = await load({ [PROJECT]: project, [OWN]: SHUT }, { file: '../ipfs-accelerate.toml' })
  expect(named).toMatchObject({ endpoints: [{ name: 'lab' }], useEndpoints: 'prefer', warnings: [] })
  expect(named.isOpen()).toBe(true)
})

it("opens a gate no further for a project's file, and closes it for one", async () => {
  const closed = await load({ [OWN]: OPEN + LAB, [PROJECT]: SHUT })
  expect([closed.isOpen(), closed.warnings, closed.endpoints.length]).toEqual([false, [], 1])
  expect(decideGates({ environment: {}, config: closed.gates }).features['remote-inference'].reason).toContain(
    path.join(closed.folder, PROJECT),
  )
  const shut = await load({ [OWN]: SHUT, [PROJECT]: OPEN })
  expect([shut.isOpen(), shut.warnings.length]).toEqual([false, 1])
  const required = await load({ [OWN]: OPEN, [PROJECT]: OPEN.replace('prefer', 'require') })
  expect([required.isOpen(), required.warnings.length]).toEqual([true, 1])
})

it('has every gate, each with the line that says it, and of a project what it closes', async () => {
  const own = FEATURE_NAMES.map((name) => `${name} = "prefer"`).join('\n')
  const every = await load({ [OWN]: `[gates]\n${own}\n`, [PROJECT]: '[gates]\nlan = false\n\ns3 = "local"\n' })
  const { features } = decideGates({ environment: withConfiguredGates({ IPFS_ACCELERATE_HUB: 'off' }, every.gates) })
  const file = path.join(every.folder, OWN)
  for (const name of FEATURE_NAMES.filter((each) => !['lan', 's3', 'hub'].includes(each))) {
    const reason = `Set in ${file}:${FEATURE_NAMES.indexOf(name) + 2}: ${name}=prefer.`
    expect(features[name]).toMatchObject({ position: 'prefer', source: 'config', reason })
  }
  expect(features.hub).toMatchObject({ position: 'off', source: 'environment' })
  const project = path.join(every.folder, PROJECT)
  expect(features.lan).toMatchObject({ position: 'off', reason: `Set in ${project}:2: lan=off.` })
  expect(features.s3).toMatchObject({ position: 'local', reason: `Set in ${project}:4: s3=local.` })
})

it("does not open for a project's file what CI closes", async () => {
  const files = { [PROJECT]: '[gates]\nhub = "local"\n' }
  const usual = await load(files)
  expect([usual.gates?.gates, usual.warnings]).toEqual([{ hub: 'local' }, []])
  const inCi = await load(files, { environment: { CI: 'true' } })
  expect([inCi.gates, inCi.warnings]).toEqual([undefined, [expect.stringMatching(/toml:2: gates\.hub: not obeyed/)]])
})

it('reads the one that the environment names alone, and the option before it', async () => {
  const files = { [OWN]: SHUT, [PROJECT]: SHUT, 'a.toml': OPEN, 'b.toml': LAB }
  const environment = { IPFS_ACCELERATE_CONFIG: '../../a.toml' }
  const { folder, ...loaded } = await load(files, { environment })
  expect([loaded.isOpen(), loaded.files]).toEqual([true, [path.join(folder, 'a.toml')]])
  const other = await load(files, { environment, file: '../../b.toml' })
  expect([other.isOpen(), other.endpoints.length]).toEqual([false, 1])
  const unset = await load(files, { environment: { IPFS_ACCELERATE_CONFIG: '' } })
  expect([unset.isOpen(), unset.files.length]).toEqual([false, 2])
})

it("knows the user's own file where that is the nearest of the project too", async () => {
  const own = await folderWith({ [OWN]: OPEN })
  const loaded = await loadConfiguration({
    directory: path.dirname(path.join(own, OWN)),
    platform: 'linux',
    environment: { XDG_CONFIG_HOME: path.join(own, 'own') },
  })
  expect([loaded.files, loaded.gates?.gates]).toEqual([[path.join(own, OWN)], { 'remote-inference': 'prefer' }])
})

it('warns where others may read a token, or write what is obeyed', async (context) => {
  if (process.platform === 'win32') context.skip('files there have no such modes')
  const folder = await folderWith({ 'a.toml': `${LAB}token-file = "token"`, token: 'of-lab' })
  await chmod(path.join(folder, 'token'), 0o644)
  await chmod(path.join(folder, 'a.toml'), 0o666)
  const warnings: string[] = []
  const onWarning = (message: string): void => void warnings.push(message)
  await endpointsOf(await loadConfiguration({ file: path.join(folder, 'a.toml'), onWarning }), { onWarning })
  expect(warnings).toEqual([
    `${path.join(folder, 'a.toml')} can be written by anybody of this machine; chmod o-w ends that`,
    expect.stringMatching(/a\.toml:5: endpoints\.lab\.token-file: .* can be read or written by others/),
  ])
})

it.each([
  ['linux', { XDG_CONFIG_HOME: '/home/me/.set' }, '/home/me/.set/ipfs-accelerate/ipfs-accelerate.toml'],
  ['linux', { XDG_CONFIG_HOME: 'relative' }, '/.config/ipfs-accelerate/ipfs-accelerate.toml'],
  ['darwin', {}, '/Library/Application Support/ipfs-accelerate/ipfs-accelerate.toml'],
  ['win32', { APPDATA: 'C:/me' }, 'C:/me/ipfs-accelerate/ipfs-accelerate.toml'],
] as const)('has a place for it on %s with %j', (platform, environment, place) => {
  expect(userFile(environment, platform).replaceAll('\\', '/').endsWith(place)).toBe(true)
})
