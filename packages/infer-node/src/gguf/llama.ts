import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'

import { UnsupportedError } from '@x/cid'
import type { TaskName } from '@x/infer-core'
import { fieldsOf } from '@x/pipelines/parts'
import { GatedError } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'
import type { Llama } from 'node-llama-cpp'

import { softwareIn, unicode } from '../installed-versions.ts'
import type { Versions } from '../transformers.ts'
import type { LlamaProvider } from './llama-providers.ts'

type NodeLlamaCpp = typeof import('node-llama-cpp')

export interface StartedLlama {
  llama: Llama
  library: NodeLlamaCpp
  provider: LlamaProvider
  /** What llama.cpp said was wrong since it was last asked, at most a few lines. */
  complaints(): Promise<string>
}

const MAX_COMPLAINTS = 8

/**
 * One for each kind of device, for as long as the process lives: what llama.cpp writes its log to, and what it holds of its devices, is
 * there once for a process, so that two which come and go would take it from each other.
 */
const started = new Map<LlamaProvider, Promise<StartedLlama>>()

/**
 * The first that works of some execution providers. Only a build that is installed is used: none is made and nothing is fetched.
 *
 * @param onWarning - Told of each that does not.
 * @throws {UnsupportedError} node-llama-cpp is not installed, or no build of llama.cpp that runs here.
 * @throws {GatedError} None of several works, or the one that is not the processor.
 */
export async function startLlama(
  providers: readonly LlamaProvider[],
  onWarning: (message: string) => void,
): Promise<StartedLlama> {
  const library = await importLlamaCpp()
  const reasons: string[] = []
  for (const provider of providers) {
    const starting = started.get(provider) ?? start(library, provider)
    started.set(provider, starting)
    try {
      return await starting
    } catch (error) {
      // What failed may be tried again.
      started.delete(provider)
      const why = error instanceof library.NoBinaryFoundError ? 'no build for it is installed' : reasonOf(error)
      reasons.push(`${provider}: ${why}`)
      if (providers.length > 1) onWarning(`llama.cpp does not work here on ${provider}: ${why}`)
    }
  }
  const why = reasons.join('; ')
  if (providers.length === 1 && providers[0] === 'cpu') {
    throw new UnsupportedError(
      `node-llama-cpp has no build of llama.cpp that runs on this ${process.platform} ${process.arch}: ${why}`,
    )
  }
  throw new GatedError(`llama.cpp works on none of the execution providers that may be used: ${why}`, {
    feature: 'execution-provider',
  })
}

async function start(library: NodeLlamaCpp, provider: LlamaProvider): Promise<StartedLlama> {
  let lines: string[] = []
  const gpu = provider === 'cpu' ? false : provider
  const llama = await library.getLlama({
    gpu,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    // The threads of a run are as many as it says, whatever else runs: a result may depend on them.
    maxThreads: 0,
    logLevel: library.LlamaLogLevel.error,
    logger: (_level, message) => {
      lines = [...lines, message.trim()].slice(-MAX_COMPLAINTS)
    },
  })
  if (llama.gpu !== gpu) {
    await llama.dispose()
    throw new Error(`it would run on ${llama.gpu || 'the processor'}`)
  }
  return {
    llama,
    library,
    provider,
    async complaints() {
      // They come after what failed.
      await new Promise(setImmediate)
      const said = lines.join('; ')
      lines = []
      return said
    },
  }
}

/** @throws {UnsupportedError} It is not installed, or cannot be loaded. */
async function importLlamaCpp(): Promise<NodeLlamaCpp> {
  try {
    return await import('node-llama-cpp')
  } catch (cause) {
    const message = `a GGUF runs on llama.cpp; install the package node-llama-cpp for that: ${reasonOf(cause)}`
    throw new UnsupportedError(message, { cause })
  }
}

/** What ran a model, as it says of itself. */
export const llamaVersions = ({ llama }: Pick<StartedLlama, 'llama'>, task: TaskName): Versions => ({
  runtime: runtimeOf(llama.llamaCppRelease.release, llama.buildType),
  library: softwareOf('node-llama-cpp'),
  tools: toolsOf(task),
})

/** What would run a model, without loading it: the build that came with node-llama-cpp. `undefined` where that cannot be told. */
export function installedLlama(task: TaskName): Versions | undefined {
  try {
    const library = findPackageJSON('node-llama-cpp', import.meta.url)
    if (library === undefined) return undefined
    const file = join(dirname(library), 'llama', 'binariesGithubRelease.json')
    const { release } = fieldsOf(JSON.parse(readFileSync(file, 'utf8')))
    if (typeof release !== 'string') return undefined
    return { runtime: runtimeOf(release, 'prebuilt'), library: softwareIn(library), tools: toolsOf(task) }
  } catch {
    // Whoever runs a model is told what is missing, and why.
    return undefined
  }
}

/** One that was built here may be built in any way. */
const runtimeOf = (release: string, build: Llama['buildType']): Versions['runtime'] => ({
  name: 'llama.cpp',
  version: build === 'prebuilt' ? release : `${release} ${build}`,
})

function toolsOf(task: TaskName): Versions['tools'] {
  const own = findPackageJSON(import.meta.url)
  if (own === undefined) throw new TypeError('this code belongs to no package')
  // It fills in the templates of chats, in which letters have an upper and a lower case by Unicode.
  const templates = task === 'text-generation' ? [softwareOf('@huggingface/jinja'), unicode()] : []
  const tools = [softwareIn(own), ...templates]
  return tools.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function softwareOf(name: string): Versions['library'] {
  const file = findPackageJSON(name, import.meta.url)
  if (file === undefined) throw new UnsupportedError(`${name} is not installed`)
  return softwareIn(file)
}
