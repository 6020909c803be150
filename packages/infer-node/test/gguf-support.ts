import { createRequire, findPackageJSON } from 'node:module'
import { pathToFileURL } from 'node:url'

import { ggufFixture, type Files, type GgufFixtureName } from '@x/fixtures'
import { addModel, openModel } from '@x/model-loader'
import type { LlamaModel } from 'node-llama-cpp'
import { onTestFinished, vi, type TestContext } from 'vitest'

import { startLlama } from '../src/gguf/llama.ts'
import { createEngine, type Engine, type EngineOptions } from '../src/index.ts'
import { createSha256, filesSource, openStore, type Held } from './support.ts'

/** Files in a store of their own. */
export async function holdFiles(files: Files): Promise<Held> {
  const { store, directory } = await openStore()
  const added = await addModel(store, filesSource(files), { createSha256 })
  return { store, directory, added, open: () => openModel(store, `ipfs://${added.cid}`) }
}

/** A repository with a GGUF and nothing else. */
export const holdGguf = (name: GgufFixtureName): Promise<Held> => holdFiles({ 'model.gguf': ggufFixture(name).bytes })

const SYSTEMS: Readonly<Record<string, string>> = { darwin: 'mac', win32: 'win' }

/** Leaves a test out, and says so, where no build of llama.cpp came along for this machine. */
export function llamaOrSkip(context: TestContext): void {
  const build = `@node-llama-cpp/${SYSTEMS[process.platform] ?? process.platform}-${process.arch}`
  const library = createRequire(import.meta.url).resolve('node-llama-cpp')
  const found = [build, `${build}-metal`].some((name) => isInstalled(name, pathToFileURL(library)))
  if (!found) context.skip(`${build} is not installed`)
}

function isInstalled(name: string, from: URL): boolean {
  try {
    return findPackageJSON(name, from) !== undefined
  } catch {
    // It is said of a package that is not there.
    return false
  }
}

export function only<T>(values: readonly T[]): T {
  const [one, ...others] = values
  if (one === undefined || others.length > 0) throw new Error(`one is wanted, there are ${values.length}`)
  return one
}

/** An engine that is closed when the test ends, whatever waits. */
export function openEngine(options: EngineOptions): Engine {
  const engine = createEngine(options)
  onTestFinished(() => engine.close({ drain: false }))
  return engine
}

/** The models that llama.cpp opens from now on, in order. */
export async function watchLlama(): Promise<LlamaModel[]> {
  const { llama } = await startLlama(['cpu'], () => undefined)
  const opened: LlamaModel[] = []
  const load = llama.loadModel.bind(llama)
  const spy = vi.spyOn(llama, 'loadModel').mockImplementation(async (options) => {
    const model = await load(options)
    opened.push(model)
    return model
  })
  onTestFinished(() => spy.mockRestore())
  return opened
}
