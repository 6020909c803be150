import { expect, it } from 'vitest'

import { createHubClient } from '../src/index.ts'

const commit = 'a'.repeat(40)
const json = { 'content-type': 'application/json' }

/** STUB: a hub inside of the page. */
const hub: typeof fetch = (input) => {
  const { pathname } = new URL(input instanceof Request ? input.url : input)
  if (pathname.endsWith('/revision/main'))
    return Promise.resolve(new Response(JSON.stringify({ sha: commit }), { headers: json }))
  if (pathname.includes('/tree/')) {
    const entry = { type: 'file', path: 'config.json', size: 2, oid: 'b'.repeat(40) }
    return Promise.resolve(new Response(JSON.stringify([entry]), { headers: json }))
  }
  return Promise.resolve(new Response('{}'))
}

it('reads a model in a page', async () => {
  const client = createHubClient({ endpoint: 'https://hub.example.org', fetch: hub })
  expect(await client.resolve('org/model')).toBe(commit)
  const [file] = await client.tree('org/model', commit)
  if (!file) throw new Error('no file')
  const pieces: Uint8Array[] = []
  for await (const piece of client.read('org/model', commit, file)) pieces.push(piece)
  expect(await new Blob(pieces.map((piece) => new Uint8Array(piece))).text()).toBe('{}')
})

it('asks with the page’s own fetch', async () => {
  const client = createHubClient({ endpoint: `${location.origin}/no-hub`, retry: { attempts: 1 } })
  await expect(client.resolve('org/model')).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
})
