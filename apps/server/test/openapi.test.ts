import { expect, it } from 'vitest'

import { at, isObject, operationsIn } from './openapi-document.ts'
import { only, openModels, start } from './support.ts'

it('lists nothing of a store where there is none, no token where none is wanted, and all in a page', async () => {
  const server = await start([{ model: only(await openModels('tiny-bert')) }], { maxInputs: 7 })
  const document = at(await (await fetch(`${server.url}/openapi.json`)).json())
  const operations = operationsIn(document)
  expect(operations.filter(({ path }) => /^\/(?:storage|ipfs|api)\//.test(path))).toEqual([])
  expect(operations.filter(({ said }) => isObject(said['security']))).toEqual([])
  expect(JSON.stringify(document)).toContain('"maxItems":7')
  expect((await fetch(`${server.url}/openapi.json`, { method: 'POST' })).status).toBe(405)
  expect((await fetch(`${server.url}/docs`, { method: 'DELETE' })).status).toBe(405)

  const response = await fetch(`${server.url}/docs`)
  const html = await response.text()
  expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/)
  expect(html).not.toMatch(/<script|https?:\/\/(?!127\.0\.0\.1:8000)/)
  const missing = operationsIn(document).filter(({ path }) => !html.includes(`<code>${path}</code>`))
  expect(missing.map(({ id }) => id)).toEqual([])
  const schemas = at(document, 'components', 'schemas')
  expect(Object.keys(schemas).filter((name) => !html.includes(`id="s-${name}"`))).toEqual([])
})
