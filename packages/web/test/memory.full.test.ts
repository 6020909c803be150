import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import type { Page } from 'playwright'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { buildApp, startApp, statusOf, storeModel } from './built-app.ts'
import { openPage } from './chromium.ts'
import { peakMemory } from './private-memory.ts'
import { BIG_WIDTH, writeBigModel } from './write-big-model.ts'

/** Of the model, MiB. */
const SIZE = Number(process.env.WEB_MEMORY_MIB ?? 256)

const NAME = 'fix/big'

const load = (page: Page, device: string): Promise<{ ms: number; first: number }> =>
  page.evaluate((args) => Reflect.get(window, 'load')(...args), [NAME, device, BIG_WIDTH])

describe('private memory of a page that loads a large model', () => {
  beforeEach(chromiumOrSkip)
  beforeEach(({ skip }) => {
    if (process.platform !== 'linux') skip('private memory is read from /proc')
  })

  it.each(['webgpu', 'wasm'])('%s: a fraction of what it takes today, and the same answer', async (device) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'web-big-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await writeBigModel(folder, SIZE)

    const measure = async (plugin: 'with-plugin' | 'without-plugin') => {
      const built = await buildApp(plugin)
      onTestFinished(() => built.remove())
      const app = await startApp(built.folder, { 'fix/big': folder })
      if (plugin === 'with-plugin') {
        await storeModel(app, [NAME, NAME, { 'config.json': true, onnx: { 'model.onnx': true } }])
      } else {
        const first = await openPage(app, `${app.origin}/app/big.html`)
        await first.evaluate(() => Reflect.get(window, 'asToday')())
        // Into the browser's cache.
        await load(first, device)
        await first.close()
      }
      const page = await openPage(app, `${app.origin}/app/big.html`)
      if (plugin === 'without-plugin') await page.evaluate(() => Reflect.get(window, 'asToday')())
      const { peak, value } = await peakMemory(app.profile, () => load(page, device))
      const status = plugin === 'with-plugin' ? await statusOf(page) : undefined
      await app.context.close()
      return { ...value, peak, status }
    }

    const ours = await measure('with-plugin')
    expect(ours.status).toMatchObject({ runtime: { build: 'jspi' }, failures: [] })
    const today = await measure('without-plugin')
    console.log(
      `${device}, ${SIZE} MiB: ours ${ours.peak} MiB in ${ours.ms} ms, today ${today.peak} MiB in ${today.ms} ms`,
    )
    expect(ours.first).toBe(today.first)
    // On wasm the weights end up in the heap of WebAssembly, which is the page's.
    expect(ours.peak).toBeLessThan(device === 'webgpu' ? 0.3 * today.peak : 0.75 * today.peak)
  })
})
