import type { Page } from 'playwright'
import { beforeEach, expect, it } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { openBrowser } from './browser.ts'
import { buildForTest } from './build-page.ts'
import { servePlain } from './plain-host.ts'
import { MODEL_NAME, servePage } from './serve-page.ts'

beforeEach(chromiumOrSkip)

const TOKEN = 'a-token-of-the-test-0123456789'
const OTHER = 'another-token-0123456789'

/** All that the page wrote where it stays, or where others may read it. */
const written = (page: Page): Promise<string> =>
  page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie, location.href, history.state]))

it('says that its server asks for a token, and has its models with one that stays in this tab', async () => {
  const folder = await buildForTest()
  const { url } = await servePage(folder, [
    { token: TOKEN, name: 'page', scopes: ['infer', 'read'] },
    { token: OTHER, name: 'gateway', scopes: ['read'] },
  ])
  const { page, context } = await openBrowser()
  const console: string[] = []
  context.on('console', (message) => console.push(message.text()))
  const tokensAt = new Set<string>()
  context.on('request', (request) => {
    if (request.headers()['authorization'] === `Bearer ${TOKEN}`) tokensAt.add(new URL(request.url()).origin)
  })
  await page.goto(`${url}#/network`)
  await page.getByText('it answers who shows a token').waitFor()
  const field = page.getByLabel('Token of this server')
  await field.fill('unknown-0123456789')
  await page.getByRole('button', { name: 'Use the token' }).click()
  await page.getByText('it does not know this token').waitFor()
  await field.fill(OTHER)
  await page.getByRole('button', { name: 'Use the token' }).click()
  await page.getByText('this token is not for its models').waitFor()
  await field.fill(TOKEN)
  await page.getByRole('button', { name: 'Use the token' }).click()
  await page.getByText('serves 1 model').waitFor()

  await page.getByRole('link', { name: 'Models' }).click()
  await page.getByRole('button', { name: `Add ${MODEL_NAME}` }).click()
  await page.getByText('all of its bytes are those of its CID').waitFor()
  expect([...tokensAt]).toEqual([new URL(url).origin])
  expect(await written(page)).not.toContain(TOKEN)
  expect(console.join('\n')).not.toContain(TOKEN)

  await page.goto(`${url}#/network`)
  await page.reload()
  await page.getByText('it answers who shows a token').waitFor()
})

it('tells a server that fails, one that cannot be reached and a plain host apart, and asks below its own path', async () => {
  const url = await servePlain(await buildForTest(), '/some/where/')
  const { page } = await openBrowser()
  const asked: string[] = []
  let status = 500
  await page.route('**/v1/models', (route) => {
    asked.push(route.request().url())
    return status === 0 ? route.abort() : route.fulfill({ status, body: 'no' })
  })
  await page.goto(`${url}#/network`)
  await page.getByText('it answered 500').waitFor()
  status = 0
  await page.getByRole('button', { name: 'Ask again' }).click()
  await page.getByText('it cannot be reached').waitFor()
  status = 404
  await page.getByRole('button', { name: 'Ask again' }).click()
  await page.getByText('serves no models').waitFor()
  expect([...new Set(asked)]).toEqual([`${url}v1/models`])
})
