import type { Page } from 'playwright'

export async function beginSearch(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Run', exact: true }).click()
  await page.getByRole('button', { name: 'Use an example' }).click()
  await page.getByRole('button', { name: 'Search' }).click()
}

/** What the page shows of its example: each text with its score, best first. */
export async function searchExample(page: Page): Promise<{ text: string; score: number }[]> {
  await beginSearch(page)
  await page.getByRole('heading', { name: 'Nearest in meaning' }).waitFor()
  return page.locator('.ranking li').evaluateAll((items) =>
    items.map((item) => ({
      text: item.querySelector('p')?.textContent ?? '',
      score: Number(item.querySelector('.numbers')?.textContent),
    })),
  )
}
