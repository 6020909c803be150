import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { fixtureModel, type FixtureName } from '@x/fixtures'
import { addModel, registerVersion } from '@x/model-loader'
import { openStorage } from '@x/node'
import type { AddSource } from '@x/storage-core'
import type { TestContext } from 'vitest'

import { temporaryDirectory } from './support.ts'

export type Files = Record<string, Uint8Array>

const register = new URL('../src/register.ts', import.meta.url).href
const apps = fileURLToPath(new URL('apps/', import.meta.url))
const installed = fileURLToPath(new URL('../node_modules/@huggingface/transformers', import.meta.url))

/** What the workspace has. */
const INSTALLED_VERSION = '4.3.1'

/** Where CI prepares other versions; see `prepare` in the full test. */
export const versionFolder = (version: string): string =>
  path.join(
    process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache'),
    'ipfs-accelerate',
    `transformers-${version}`,
  )

/** The package of a version, where it is there; without one that which the workspace has. */
export function transformersOf(version?: string): string | undefined {
  if (version === undefined || version === INSTALLED_VERSION) return installed
  const folder = path.join(versionFolder(version), 'node_modules', '@huggingface', 'transformers')
  return existsSync(path.join(folder, 'package.json')) ? folder : undefined
}

/** A store with models by name, closed again. */
export async function storeOf(models: Readonly<Record<string, Files>>, directory?: string): Promise<string> {
  const at = directory ?? path.join(await temporaryDirectory(), 'store')
  const storage = await openStorage({ directory: at, environment: {} })
  for (const [reference, files] of Object.entries(models)) {
    const [name = '', version] = reference.split('@')
    if (version === undefined) await addModel(storage, sourceOf(files), { name })
    else await registerVersion(storage, name, version, (await addModel(storage, sourceOf(files))).cid)
  }
  await storage.close()
  return at
}

function sourceOf(files: Files): Extract<AddSource, { type: 'directory' }> {
  const children = new Map<string, Files>()
  const entries: [string, { type: 'file'; open: () => AsyncIterable<Uint8Array> } | ReturnType<typeof sourceOf>][] = []
  for (const [name, bytes] of Object.entries(files)) {
    const [first = '', ...rest] = name.split('/')
    if (rest.length === 0) entries.push([first, { type: 'file', open: () => once(bytes) }])
    else children.set(first, { ...children.get(first), [rest.join('/')]: bytes })
  }
  for (const [name, below] of children) entries.push([name, sourceOf(below)])
  return { type: 'directory', entries: () => entries }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Files laid out as the library's own cache has them; `revision` other than main is a folder. */
export async function libraryCacheOf(repo: string, files: Files, revision?: string): Promise<string> {
  const directory = path.join(await temporaryDirectory(), 'cache')
  for (const [name, bytes] of Object.entries(files)) {
    const file = path.join(directory, repo, revision ?? '', name)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, bytes)
  }
  return directory
}

export interface AppOptions {
  /** `--import`, `NODE_OPTIONS`, or the plain library. Default `import`. */
  hook?: 'import' | 'options' | 'none' | undefined
  store?: string | undefined
  environment?: Record<string, string> | undefined
  /** Of transformers.js. Default: the workspace's. */
  library?: string | undefined
  nodeFlags?: readonly string[] | undefined
  /** Before the command: `unshare -n`. */
  wrap?: readonly string[] | undefined
  /** It is ended then. Milliseconds; default 200_000. */
  limitMs?: number | undefined
  /** What is installed beside the program. Default: transformers.js as a link. */
  install?: ((modules: string) => Promise<void>) | undefined
}

export interface AppResult {
  code: number
  stdout: string
  stderr: string
  /** The last line of stdout, which programs print as JSON. */
  json: unknown
}

const HOOK_FLAGS = ['--conditions=@x/source', '--disable-warning=ExperimentalWarning', `--import=${register}`]

/** Runs an unmodified program of `apps/` in a folder of its own, with nothing of this process's environment but the path. */
export async function runApp(name: string, options: AppOptions = {}): Promise<AppResult> {
  const folder = await temporaryDirectory()
  const modules = path.join(folder, 'node_modules')
  if (options.install) await options.install(modules)
  else await linkPackage(modules, '@huggingface/transformers', options.library ?? installed)
  await copyFile(path.join(apps, name), path.join(folder, name))
  const { hook = 'import', store, environment = {}, nodeFlags = [], wrap = [], limitMs = 200_000 } = options
  const flags = [...(hook === 'import' ? HOOK_FLAGS : []), ...nodeFlags]
  const [command, ...args] = [...wrap, process.execPath, ...flags, path.join(folder, name)]
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    // No public hub, whatever a test forgets.
    HF_ENDPOINT: 'http://127.0.0.1:1',
    ...(store !== undefined && { IPFS_ACCELERATE_CACHE_DIR: store }),
    ...(hook === 'options' && { NODE_OPTIONS: HOOK_FLAGS.join(' ') }),
    ...environment,
  }
  const result = await promisify(execFile)(command, args, { cwd: folder, env, timeout: limitMs, maxBuffer: 1e8 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: unknown) => failureOf(error),
  )
  return { ...result, json: lastJson(result.stdout) }
}

export async function linkPackage(modules: string, name: string, target: string): Promise<void> {
  const place = path.join(modules, name)
  await mkdir(path.dirname(place), { recursive: true })
  await symlink(await realpath(target), place)
}

function failureOf(error: unknown): Omit<AppResult, 'json'> {
  if (!(error instanceof Error) || !('stdout' in error) || !('stderr' in error)) throw error
  const code = 'code' in error && typeof error.code === 'number' ? error.code : -1
  return { code, stdout: String(error.stdout), stderr: String(error.stderr) }
}

function lastJson(stdout: string): unknown {
  const line = stdout.trim().split('\n').at(-1) ?? ''
  try {
    const value: unknown = JSON.parse(line)
    return value
  } catch {
    return undefined
  }
}

/** A copy of transformers.js of its own in a folder, with its dependencies beside it and nothing else. */
export async function copyLibrary(modules: string): Promise<string> {
  const from = await realpath(installed)
  const to = path.join(modules, '@huggingface', 'transformers')
  await mkdir(path.join(to, 'dist'), { recursive: true })
  for (const name of ['package.json', 'dist/transformers.node.mjs'])
    await copyFile(path.join(from, name), path.join(to, name))
  const beside = path.join(from, '..', '..')
  for (const name of ['@huggingface/jinja', '@huggingface/tokenizers', 'onnxruntime-node', 'sharp']) {
    await linkPackage(modules, name, path.join(beside, name))
  }
  return to
}

export const fixtureFiles = (name: FixtureName): Files => fixtureModel(name).files
export const OFFLINE = { IPFS_ACCELERATE_NETWORK: 'off' }
export const fixtureRepos = (): Record<string, Files> => ({
  'fix/tiny-bert': fixtureFiles('tiny-bert'),
  'fix/tiny-bert-external': fixtureFiles('tiny-bert-external'),
  'fix/tiny-sentiment': fixtureFiles('tiny-sentiment'),
  'fix/tiny-gpt': fixtureFiles('tiny-gpt'),
})

/** A network namespace without any device but a loopback that is down. */
export const NO_NETWORK: readonly string[] = ['unshare', '-rn']

export function networkCutOrSkip(context: TestContext): void {
  const { status } = spawnSync('unshare', ['-rn', 'true'])
  if (status !== 0) context.skip('the network cannot be cut here: `unshare -rn` does not run')
}
