import type { Page } from 'playwright'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { CHROMIUM, whyNoChromium } from '../../../tooling/chromium.ts'
import { buildApp, MODEL, startApp, storeModel } from './built-app.ts'
import { openPage } from './chromium.ts'

interface Embedded {
  vector: number[]
  numericClass: string
}

/** By an engine of its own, which is closed then. */
const embed = (page: Page, threads?: number): Promise<Embedded> =>
  page.evaluate((asked) => Reflect.get(window, 'embed')(...asked), [MODEL, 'A CID is a promise about bytes.', threads])

const farthest = (a: Embedded, b: Embedded): number =>
  Math.max(...a.vector.map((value, index) => Math.abs(value - (b.vector[index] ?? Number.NaN))))

describe(`threads of WebAssembly, in ${CHROMIUM}`, () => {
  let folder = ''
  beforeEach(chromiumOrSkip)
  beforeAll(async () => {
    if (whyNoChromium() !== undefined) return undefined
    const built = await buildApp('without-plugin')
    folder = built.folder
    return () => built.remove()
  })

  // Its weights are read by streams while WebAssembly is suspended: a load that ends was no matter of course.
  it('load and run a model again and again in an isolated page, as one does', async () => {
    const app = await startApp(folder, {}, { isolated: true })
    await storeModel(app)
    let page = await openPage(app, `${app.origin}/app/engine.html`)
    const cores = await page.evaluate('navigator.hardwareConcurrency')
    const alone = await embed(page, 1)
    expect(alone.numericClass).toBe('wasm-jspi-1')
    for (const round of [1, 2]) {
      for (let count = 0; count < 6; count++) {
        const several = await embed(page)
        expect(several.numericClass).toBe(`wasm-jspi-${Math.min(4, Number(cores))}`)
        expect(farthest(several, alone)).toBeLessThan(1e-3)
      }
      const atOnce = await Promise.all([embed(page, 2), embed(page, 3)])
      expect(atOnce.map(({ numericClass }) => numericClass)).toEqual(['wasm-jspi-2', 'wasm-jspi-3'])
      for (const one of atOnce) expect(farthest(one, alone)).toBeLessThan(1e-3)
      await page.close()
      if (round === 1) page = await openPage(app, `${app.origin}/app/engine.html`)
    }
  })

  it('that do not start are said not to answer', async () => {
    const app = await startApp(folder, {}, { isolated: true })
    const page = await openPage(app, `${app.origin}/app/engine.html`)
    const asked = page.evaluate('embed("any", "a", 2, { stuck: true, probeTimeoutMs: 20_000 })')
    await expect(asked).rejects.toThrow('wasm: it did not answer within 20 s')
  })

  it('are not there in a page that is not isolated', async () => {
    const app = await startApp(folder)
    await storeModel(app)
    const page = await openPage(app, `${app.origin}/app/engine.html`)
    expect(await embed(page, 4)).toMatchObject({ numericClass: 'wasm-jspi-1' })
  })
})
