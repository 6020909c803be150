import { createWebBinding, type WebBinding, type WebEnv } from './binding.ts'
import type { InstallOptions } from './install-options.ts'
import { createRuntime, detectRuntime, withExternalFiles, type Runtime } from './runtime.ts'
import { createStoredModels } from './stored-models.ts'

export { detectRuntime, withExternalFiles }

interface Page {
  runtime: Runtime
  binding: WebBinding | undefined
}

// One for a page, whatever number of bundles are on it: the runtime's shim and the binding have to find each other.
const PAGE = Symbol.for('@x/web/page')

const isPage = (value: unknown): value is Page =>
  typeof value === 'object' && value !== null && 'runtime' in value && 'binding' in value

function page(): Page {
  const known: unknown = Reflect.get(globalThis, PAGE)
  if (isPage(known)) return known
  const made: Page = { runtime: createRuntime(), binding: undefined }
  Reflect.set(globalThis, PAGE, made)
  return made
}

/** What the page's graphs and the runtime share. */
export const pageRuntime = (): Runtime => page().runtime

/** The binding that the plugin has put into this page; `undefined` without the plugin. */
export const pageBinding = (): WebBinding | undefined => page().binding

/** Called by the plugin's wrapper, once for each copy of transformers.js. */
export function install(env: WebEnv, { directory, offline }: InstallOptions = {}): void {
  const here = page()
  here.binding ??= createWebBinding({ models: createStoredModels({ directory }), runtime: here.runtime, offline })
  here.binding.apply(env)
}
