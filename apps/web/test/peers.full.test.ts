import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import type { Page } from 'playwright'
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { whyNoChromium } from '../../../tooling/chromium.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo } from '../../../tooling/kubo/start-kubo.ts'
import { openBrowser } from './browser.ts'
import { buildPage } from './build-page.ts'
import { servePlain } from './plain-host.ts'
import { searchExample } from './search-example.ts'

// A port that nobody listens on, and the key of nobody.
const GONE = '/ip4/127.0.0.1/tcp/1/ws/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo'

let built: Awaited<ReturnType<typeof buildPage>> | undefined
beforeAll(async () => {
  if (whyNoChromium() === undefined) built = await buildPage()
})
afterAll(() => built?.remove())
beforeEach(chromiumOrSkip)

async function openNetwork(): Promise<{ page: Page; requests: string[] }> {
  const { page, requests } = await openBrowser()
  await page.goto(await servePlain(built?.folder ?? '', '/'))
  await page.getByRole('link', { name: 'Network', exact: true }).click()
  return { page, requests }
}

async function addPeer(page: Page, address: string): Promise<void> {
  await page.getByLabel('Address of a peer').fill(address)
  await page.getByRole('button', { name: 'Add a peer' }).click()
}

async function add(page: Page, cid: string): Promise<void> {
  await page.getByRole('link', { name: 'Models', exact: true }).click()
  await page.getByLabel('CID or name of a model').fill(`ipfs://${cid}`)
  await page.getByRole('button', { name: 'Add', exact: true }).click()
}

it.for(['ws', 'webrtc-direct'] as const)(
  'adds a model from Kubo alone, over %s, and runs it',
  async (transport, context) => {
    const kubo = await startKubo(kuboOrSkip(context), { transports: [transport] })
    onTestFinished(() => kubo.stop())
    const { stdout } = await kubo.ipfs(['add', '-r', '-Q', '--cid-version=1', fileURLToPath(modelDirectory)])
    const { page, requests } = await openNetwork()
    await addPeer(page, kubo.addresses[0] ?? '')
    await add(page, stdout.toString().trim())
    await page.getByText('all of its bytes are those of its CID').waitFor()
    expect((await searchExample(page)).length).toBeGreaterThan(2)
    expect(requests.filter((url) => new URL(url).origin !== new URL(page.url()).origin)).toEqual([])
  },
)

it('says which peer cannot be reached, and which address is none', async () => {
  const { page } = await openNetwork()
  await addPeer(page, '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo')
  await page.getByText('a page reaches no other').waitFor()
  await addPeer(page, GONE)
  await page.getByRole('button', { name: `Forget the peer ${GONE}` }).waitFor()
  await add(page, 'bafybeidjpkgfndnc52yc4eb4vml7y3nymmfum6kxxozzf5oe4ewyqbg46e')
  const alert = page.getByRole('alert').filter({ hasText: GONE })
  await alert.waitFor()
  await page.getByRole('link', { name: 'Network', exact: true }).click()
  await page.getByRole('button', { name: `Forget the peer ${GONE}` }).click()
  await expect.poll(() => page.getByText(GONE).count()).toBe(0)
})
