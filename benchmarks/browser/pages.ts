import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { modelDirectory } from '../../packages/embedded-model/index.js'
import { CHROMIUM_ARGUMENTS, LOOPBACK_ALONE } from '../../tooling/chromium.ts'
import { fixtureModel, wideBert, type Files } from '../../tooling/fixtures/src/index.ts'
import type { Job, Workspace } from '../harness/types.ts'
import { buildPages } from './build-pages.ts'
import { servePages } from './page-server.ts'

/** 8 layers of 4096 x 4096 in fp32 are 512 MiB. */
const WIDTH = 4096
const LAYERS = 8
const LAYER_BYTES = WIDTH * WIDTH * 4

// The browser's cache refuses a file of 538 MB ("Unexpected internal error"), which transformers.js then fetches on each visit;
// it takes one of 201 MB.
const CACHED_BYTES = 3 * LAYER_BYTES

const PAGES = ['ours', 'theirs'] as const

export type Device = 'webgpu' | 'wasm'

export interface Visits {
  /** A visit of a page whose stores have been filled. */
  visit: (
    name: string,
    page: (typeof PAGES)[number],
    asked: { device: Device; visit: 'open' | 'speed' } & Counts,
  ) => Job
  close: () => Promise<void>
}

interface Counts {
  texts?: number
  tokens?: number
}

const DTYPES = { wide: 'fp32', embedder: 'q8', writer: 'fp32' } as const
const FEW: Required<Counts> = { texts: 1, tokens: 8 }

/** Builds and serves the pages, and has each be visited a first time, in a profile of its own. */
export async function preparePages(workspace: Workspace, chromium: string): Promise<Visits> {
  const models = workspace.path('page-models')
  const pages = workspace.path('pages')
  const layers = Math.max(1, Math.min(LAYERS, Math.floor(workspace.bytes / LAYER_BYTES)))
  const folderOf = (name: string): string => join(models, 'bench', name)
  const repositories = {
    wide: wideBert(WIDTH, layers, 'external', CACHED_BYTES),
    writer: withoutEnd(fixtureModel('tiny-gpt').files),
  }
  for (const [name, files] of Object.entries(repositories)) {
    for (const [path, bytes] of Object.entries(files)) {
      await mkdir(dirname(join(folderOf(name), path)), { recursive: true })
      await writeFile(join(folderOf(name), path), bytes)
    }
  }
  await cp(modelDirectory, folderOf('embedder'), { recursive: true })
  const listed = Object.entries(DTYPES).map(async ([name, dtype]) => {
    const entries = await readdir(folderOf(name), { recursive: true, withFileTypes: true })
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folderOf(name).length + 1))
    return [name, { name: `bench/${name}`, dtype, files }] as const
  })
  await writeFile(join(models, 'models.json'), JSON.stringify(Object.fromEntries(await Promise.all(listed))))

  const script = new URL('visit.ts', import.meta.url)
  await buildPages(pages, workspace.script('', script, {}).command(false).includes('--conditions=@x/source'))
  const server = await servePages({ pages, models })
  const profileOf = (page: string): string => workspace.path(`profile-${page}`)
  const job = (name: string, page: string, asked: object): Job =>
    workspace.script(name, script, {
      chromium,
      flags: [...CHROMIUM_ARGUMENTS, LOOPBACK_ALONE],
      profile: profileOf(page),
      origin: server.origin,
      page,
      asked: { ...FEW, ...asked },
    })
  const close = async (): Promise<void> => {
    await server.close()
    for (const folder of [models, pages, ...PAGES.map(profileOf)]) {
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
    }
  }
  try {
    for (const page of PAGES) await mkdir(profileOf(page))
    for (const page of PAGES) await workspace.once(job('fill', page, { device: 'wasm', visit: 'fill' }))
  } catch (error) {
    await close()
    throw error
  }
  return { visit: job, close }
}

/** A writer that goes on for as many tokens as it is let. */
function withoutEnd(files: Files): Files {
  const changed = ['config.json', 'generation_config.json'].map((path) => {
    const { eos_token_id: _end, ...rest }: Record<string, unknown> = JSON.parse(new TextDecoder().decode(files[path]))
    return [path, new TextEncoder().encode(JSON.stringify(rest))] as const
  })
  return { ...files, ...Object.fromEntries(changed) }
}
