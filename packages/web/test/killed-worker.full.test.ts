import { beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { buildApp, MODEL, startApp, storeModel } from './built-app.ts'
import { openPage } from './chromium.ts'

const HOST = 'https://hub.example.org'

beforeEach(chromiumOrSkip)

it('an answer goes on to its end when its service worker is killed in the middle of it', async () => {
  const built = await buildApp('without-plugin')
  onTestFinished(() => built.remove())
  const app = await startApp(built.folder)
  await storeModel(app)
  const page = await openPage(app, `${app.origin}/app/store.html`)
  await page.evaluate(
    (url) => Reflect.get(window, 'register')(url, {}),
    `/app/standalone.js?host=${HOST}&offline=strict`,
  )
  const session = await app.context.newCDPSession(page)
  const stopped = new Promise<void>((resolve) => {
    session.on('ServiceWorker.workerVersionUpdated', ({ versions }) => {
      if (versions.some(({ runningStatus }) => runningStatus === 'stopped')) resolve()
    })
  })
  await session.send('ServiceWorker.enable')

  const url = `${HOST}/${MODEL}/resolve/main/onnx/model_quantized.onnx`
  const announced = await page.evaluate(async (of) => {
    const { body, headers } = await fetch(of)
    const reader = body?.getReader()
    const first = await reader?.read()
    const rest = async (): Promise<number> => {
      let length = first?.value?.length ?? 0
      for (let next = await reader?.read(); next?.value; next = await reader?.read()) length += next.value.length
      return length
    }
    Reflect.set(window, 'rest', rest)
    return Number(headers.get('content-length'))
  }, url)
  expect(announced).toBeGreaterThan(1024 * 1024)
  await session.send('ServiceWorker.stopAllWorkers')
  await stopped
  expect(await page.evaluate(() => Reflect.get(window, 'rest')())).toBe(announced)
})
