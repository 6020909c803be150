import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { addModel, openStorage, serveHub } from '@x/node'
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { whyNoChromium } from '../../../tooling/chromium.ts'
import { openBrowser } from './browser.ts'
import { buildPage } from './build-page.ts'
import { servePlain } from './plain-host.ts'

const NAME = 'org/searcher'

let built: Awaited<ReturnType<typeof buildPage>> | undefined
beforeAll(async () => {
  if (whyNoChromium() === undefined) built = await buildPage()
})
afterAll(() => built?.remove())
beforeEach(chromiumOrSkip)

/** A hub on an origin of its own that has the model. Ends with the test. */
async function serveModelHub(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'page-hub-'))
  const storage = await openStorage({ directory, environment: { IPFS_ACCELERATE_NETWORK: 'local' } })
  await addModel(storage, fileURLToPath(modelDirectory), { name: NAME })
  const server = await serveHub(storage, { cors: { origins: '*' } })
  onTestFinished(async () => {
    await server.close()
    await storage.close()
    await rm(directory, { recursive: true, force: true })
  })
  return server.url
}

it('asks a hub for a model by name once it is switched on, and nobody before', async () => {
  const hub = await serveModelHub()
  const { page, requests } = await openBrowser()
  const url = await servePlain(built?.folder ?? '', '/')
  await page.goto(url)
  const add = async (reference: string): Promise<void> => {
    await page.getByRole('link', { name: 'Models', exact: true }).click()
    await page.getByLabel('CID or name of a model').fill(reference)
    await page.getByRole('button', { name: 'Add', exact: true }).click()
  }
  await add(NAME)
  await page.getByText('switch a hub on under Network').waitFor()
  await add(`hf://${NAME}`)
  await page.getByText('No hub is asked for models by name').waitFor()
  await page.getByRole('button', { name: `Dismiss hf://${NAME}` }).click()

  await page.getByRole('link', { name: 'Network', exact: true }).click()
  await page.getByRole('switch', { name: /^Ask a hub/ }).check()
  await page.getByLabel('Address of the hub').fill('https://user:password@hub.example.org')
  await page.getByLabel('Address of the hub').press('Enter')
  await page.getByText('without a user and a password').waitFor()
  await page.getByLabel('Address of the hub').fill(hub)
  await page.getByLabel('Address of the hub').press('Enter')
  expect(requests.filter((one) => !one.startsWith(url))).toEqual([])

  await add('org/no-such-model')
  await page.getByRole('alert').filter({ hasText: 'org/no-such-model' }).waitFor()
  await page.getByRole('button', { name: 'Dismiss org/no-such-model' }).click()
  await add(NAME)
  await page.getByText('all of its bytes are those of its CID').waitFor()
  await page.reload()
  await page.getByRole('heading', { name: 'On this device' }).waitFor()
  await page.getByRole('heading', { name: NAME }).waitFor()
})
