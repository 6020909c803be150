import { mkdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'

import type { Page } from 'playwright'
import { beforeEach, expect, it } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { openBrowser } from './browser.ts'
import { buildForTest } from './build-page.ts'
import { MODEL_NAME, servePage } from './serve-page.ts'

/** Where the pictures go, to be looked at. */
const FOLDER = process.env.PAGE_SCREENSHOTS || path.join(import.meta.dirname, '../test-results')
const WIDTHS = { desk: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } } as const
const COLOURS = ['light', 'dark'] as const

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

beforeEach(chromiumOrSkip)

/** Rules of WCAG 2.2 AA that the page breaks, each with the elements. */
async function violationsOf(page: Page): Promise<string[]> {
  // As a string: the page's policy takes no scripts but its own, and what is evaluated is none of the page's.
  await page.evaluate(await readFile(axe, 'utf8'))
  return page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
    const { violations } = await Reflect.get(globalThis, 'axe').run(document, { runOnly: tags })
    return violations.map(
      ({ id, nodes }: { id: string; nodes: { target: string[]; failureSummary: string }[] }) =>
        `${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} (${failureSummary})`).join('; ')}`,
    )
  })
}

/** Takes pictures of what is shown at both widths, light and dark; each has to be accessible, and no wider than the window. */
async function look(page: Page, name: string): Promise<void> {
  for (const [size, viewport] of Object.entries(WIDTHS)) {
    await page.setViewportSize(viewport)
    for (const colorScheme of COLOURS) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.evaluate('scrollTo(0, 0)')
      await page.screenshot({ path: path.join(FOLDER, `${name}-${size}-${colorScheme}.png`), fullPage: true })
      expect([name, size, colorScheme, await violationsOf(page)]).toEqual([name, size, colorScheme, []])
      const width = await page.evaluate('document.documentElement.scrollWidth')
      expect([name, size, width]).toEqual([name, size, viewport.width])
    }
  }
  await page.setViewportSize(WIDTHS.desk)
}

/** In the page: what it keeps of a download that ended with its tab, and of its model, as if that were damaged. */
function leaveWork(cid: string): void {
  const reference = 'ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
  localStorage.setItem(`ipfs-accelerate.unfinished ${reference}`, JSON.stringify({ loaded: 40, total: 100 }))
  localStorage.setItem('ipfs-accelerate.damaged', JSON.stringify({ [cid]: 'bytes 0 to 9 are others' }))
}

it('is accessible on each screen, in light and dark, on a phone and at a desk', async () => {
  await mkdir(FOLDER, { recursive: true })
  const { url, cid } = await servePage(await buildForTest())
  const { page, errors } = await openBrowser()
  await page.goto(url)
  await page.getByRole('button', { name: `Add ${MODEL_NAME}` }).waitFor()
  await look(page, 'models-at-first')
  await page.getByRole('link', { name: 'Run', exact: true }).click()
  await look(page, 'run-at-first')
  await page.getByRole('link', { name: 'Provenance' }).click()
  await look(page, 'provenance-at-first')

  await page.getByRole('link', { name: 'Models' }).click()
  await page.getByLabel('CID or name of a model').fill('no/such-model')
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await look(page, 'models-refused')
  await page.getByRole('button', { name: `Add ${MODEL_NAME}` }).click()
  await page.getByText('all of its bytes are those of its CID').waitFor()
  await page.getByRole('button', { name: /^Details of/ }).click()
  await page.getByRole('columnheader', { name: 'File' }).waitFor()
  await look(page, 'models')

  await page.getByRole('link', { name: 'Run', exact: true }).click()
  await page.getByRole('button', { name: 'Use an example' }).click()
  await page.getByRole('button', { name: 'Search' }).click()
  await page.getByRole('heading', { name: 'Nearest in meaning' }).waitFor()
  await look(page, 'run')
  await page.getByRole('link', { name: 'Provenance' }).click()
  await page.getByText(/^Show \d+ receipts/).click()
  await look(page, 'provenance')

  await page.getByRole('link', { name: 'Network' }).click()
  await page.getByLabel('Address of a gateway').fill('https://gateway.example.org')
  await page.getByRole('button', { name: 'Add a gateway' }).click()
  await page.getByText('all of its files are kept here').waitFor()
  await look(page, 'network')

  await page.getByRole('link', { name: 'Models' }).click()
  await page.evaluate(leaveWork, cid)
  await page.reload()
  await page.getByText(/^It was interrupted/).waitFor()
  await page.getByRole('button', { name: /^Details of/ }).click()
  await page.getByText('no longer what was stored').waitFor()
  await look(page, 'models-unwell')

  await page.getByRole('radio', { name: 'Dark' }).check({ force: true })
  await page.emulateMedia({ colorScheme: 'light' })
  expect(await page.evaluate('getComputedStyle(document.documentElement).colorScheme')).toBe('dark')
  expect(errors).toEqual([])
})

it('is reached by the keyboard alone', async () => {
  const { url } = await servePage(await buildForTest())
  const { page } = await openBrowser()
  await page.goto(url)
  await page.getByRole('button', { name: `Add ${MODEL_NAME}` }).waitFor()
  const reached: string[] = []
  for (let steps = 0; steps < 14; steps++) {
    await page.keyboard.press('Tab')
    reached.push(
      await page.evaluate(
        'document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? ""',
      ),
    )
  }
  expect(reached[0]).toContain('Skip to the content')
  for (const name of ['Models', 'Run', 'Provenance', 'Network', 'As the system', 'Add', `Add ${MODEL_NAME}`]) {
    expect(reached).toContain(name)
  }
  await page.getByRole('button', { name: `Add ${MODEL_NAME}` }).focus()
  await page.keyboard.press('Enter')
  await page.getByText('all of its bytes are those of its CID').waitFor()
})
