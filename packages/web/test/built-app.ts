import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { modelDirectory } from '@x/embedded-model'
import type { Page } from 'playwright'
import { onTestFinished } from 'vitest'

import type { BindingStatus } from '../src/index.ts'
import { launchBrowser, openPage, type Browser } from './chromium.ts'
import { serveFolders, type ServeFoldersOptions } from './serve-folders.ts'

export const MODEL = 'sentence-transformers/all-MiniLM-L6-v2'

const TREE = {
  'config.json': true,
  'tokenizer.json': true,
  'tokenizer_config.json': true,
  onnx: { 'model_quantized.onnx': true },
}

/** What `infer` of the pages gives. */
export interface Inferred {
  dims: number[]
  data: number[]
  progress: number
}

export interface BuiltApp {
  folder: string
  remove(): Promise<void>
}

/** The pages of `test/app`, built in a process of its own, as a program of somebody else would be. */
export async function buildApp(plugin: 'with-plugin' | 'without-plugin'): Promise<BuiltApp> {
  const folder = await mkdtemp(path.join(tmpdir(), 'web-app-'))
  const child = fileURLToPath(new URL('./children/build-app.ts', import.meta.url))
  await promisify(execFile)(process.execPath, ['--conditions=@x/source', child, folder, plugin])
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

const transformers = path.dirname(createRequire(import.meta.url).resolve('@huggingface/transformers'))
const runtime = path.dirname(createRequire(path.join(transformers, 'x.js')).resolve('onnxruntime-web/webgpu'))

export interface RunningApp extends Browser {
  origin: string
}

/** Serves the pages, a model and what a page of its own needs; and a browser. Ends with the test. */
export async function startApp(
  folder: string,
  more: Readonly<Record<string, string>> = {},
  options: ServeFoldersOptions = {},
): Promise<RunningApp> {
  const server = await serveFolders(
    {
      app: folder,
      'app/pages': fileURLToPath(new URL('./app/', import.meta.url)),
      model: fileURLToPath(modelDirectory),
      transformers,
      ort: runtime,
      ...more,
    },
    options,
  )
  onTestFinished(() => server.close())
  return { ...(await launchBrowser()), origin: server.origin }
}

/** Puts a model into the page's storage, the way a page does. */
export async function storeModel(
  { context, origin }: Pick<RunningApp, 'context' | 'origin'>,
  [name, folder, tree]: [name: string, folder: string, tree: object] = [MODEL, 'model', TREE],
): Promise<unknown> {
  const page = await openPage({ context }, `${origin}/app/store.html`)
  const added: unknown = await page.evaluate(
    (args) => Reflect.get(window, 'addModel')(...args),
    [name, `${origin}/${folder}/`, tree],
  )
  await page.close()
  return added
}

export const infer = (page: Page, device: string, options: object = {}, model: string = MODEL): Promise<Inferred> =>
  page.evaluate((args) => Reflect.get(window, 'infer')(...args), [model, device, options])

/** Of the binding that the plugin has put into the page. */
export const statusOf = (page: Page): Promise<BindingStatus> =>
  page.evaluate(() => Reflect.get(window, Symbol.for('@x/web/page')).binding.status())
