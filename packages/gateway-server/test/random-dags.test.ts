import { cidOf, decodeNode, RAW, type CID, type GetBlock } from '@x/cid'
import { openMemoryStore, type ContentStore } from '@x/storage-core'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { directoryOf, type Tree } from '../../storage-core/src/conformance/sample.ts'
import { createGatewayHandler } from '../src/gateway-handler.ts'
import { asker, carOf } from './support.ts'

const SEED = 20_251_124

// Few different bytes, so that files have leaves in common.
const file = fc
  .array(fc.tuple(fc.nat({ max: 2 }), fc.integer({ min: 1, max: 300_000 })), { maxLength: 4 })
  .map((runs) => Buffer.concat(runs.map(([byte, length]) => Buffer.alloc(length, byte))))
const { tree } = fc.letrec<{ tree: Tree; node: Tree | Uint8Array }>((tie) => ({
  tree: fc.dictionary(fc.constantFrom('a', 'b', 'c d', 'é'), tie('node'), { maxKeys: 3, noNullPrototype: true }),
  node: fc.oneof({ maxDepth: 2 }, file, file, tie('tree')),
}))

/** Every path of a tree. */
const pathsOf = (node: Tree[string], at: readonly string[] = []): string[][] => [
  [...at],
  ...(node instanceof Uint8Array || typeof node === 'string'
    ? []
    : Object.entries(node).flatMap(([name, below]) => pathsOf(below, [...at, name]))),
]

interface Asked {
  path: readonly string[]
  scope: 'block' | 'entity' | 'all'
  range: { from: number; to: number | undefined } | undefined
  duplicates: boolean
}

/** What belongs in the CAR, by a walk that knows of bytes and names alone. `undefined`: the range lies outside. */
async function expected(
  get: GetBlock,
  root: CID,
  { path, scope, range, duplicates }: Asked,
): Promise<string[] | undefined> {
  const found: string[] = []
  const nodeOf = async (cid: CID): Promise<ReturnType<typeof decodeNode>> => decodeNode(cid, await get(cid, {}))
  let end = root
  for (const name of path) {
    found.push(end.toString())
    const node = await nodeOf(end)
    if (node.type !== 'directory') throw new Error('the tree is too large for this test')
    end = node.links.find((link) => link.name === name)?.cid ?? root
  }
  const all = async (cid: CID): Promise<void> => {
    found.push(cid.toString())
    const node = await nodeOf(cid)
    if (node.type === 'file') for (const child of node.children) await all(child.cid)
    if (node.type === 'directory') for (const link of node.links) await all(link.cid)
  }
  const between = async (cid: CID, start: number, first: number, last: number): Promise<void> => {
    found.push(cid.toString())
    const node = await nodeOf(cid)
    if (node.type !== 'file') return
    let at = start + node.data.length
    for (const child of cid.code === RAW ? [] : node.children) {
      if (child.fileBytes > 0 && at <= last && at + child.fileBytes > first) await between(child.cid, at, first, last)
      at += child.fileBytes
    }
  }
  const node = await nodeOf(end)
  if (node.type === 'file' && range) {
    const size = node.fileBytes
    const first = range.from < 0 ? Math.max(0, size + range.from) : range.from
    const last = range.to === undefined ? size - 1 : range.to < 0 ? size + range.to : range.to
    if (size > 0 && (first >= size || last < 0)) return undefined
    await between(end, 0, first, first <= last ? last : -1)
  } else if (scope === 'all' && !range) await all(end)
  else if (scope === 'block' || node.type === 'directory') found.push(end.toString())
  else await all(end)
  return duplicates ? found : [...new Set(found)]
}

let store: ContentStore
beforeAll(async () => {
  store = await openMemoryStore()
})
afterAll(() => store.close())

it('a CAR of any path, scope and range holds exactly the blocks that a walk finds, in its order', async () => {
  const ask = asker(createGatewayHandler(store))
  const get: GetBlock = (cid, options) => store.blocks.get(cid, options)
  const end = fc.oneof(
    fc.integer({ min: -900_000, max: 900_000 }),
    fc.constant(0),
    fc.constant(262_144),
    fc.constant(-1),
  )
  const options = fc.record({
    which: fc.nat(),
    scope: fc.constantFrom<Asked['scope']>('block', 'entity', 'all'),
    range: fc.option(fc.record({ from: end, to: fc.option(end, { nil: undefined }) }), { nil: undefined }),
    duplicates: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(tree, fc.array(options, { minLength: 1, maxLength: 6 }), async (made, requests) => {
      const { cid: root } = await store.add(directoryOf(made), { profile: 'kubo-v1' })
      const paths = pathsOf(made)
      for (const { which, ...rest } of requests) {
        const path = paths[which % paths.length] ?? []
        const asked: Asked = { path, ...rest }
        const { scope, range, duplicates } = asked
        const bytes = range ? `&entity-bytes=${range.from}:${range.to ?? '*'}` : ''
        const query = `format=car&dag-scope=${scope}${bytes}&car-dups=${duplicates ? 'y' : 'n'}`
        const response = await ask(
          `/ipfs/${root}${path.map((name) => `/${encodeURIComponent(name)}`).join('')}?${query}`,
        )
        const cids = await expected(get, root, asked)
        const sent = response.status === 400 ? undefined : (await carOf(response)).cids
        expect(sent).toEqual(cids)
      }
    }),
    { seed: SEED, numRuns: 60 },
  )
})

it('the bytes of a range are all in the blocks of its CAR', async () => {
  const content = Buffer.concat([1, 2, 3, 1].map((byte) => Buffer.alloc(262_144, byte)))
  const { cid } = await store.add(content, { profile: 'kubo-v1' })
  const leaf = await cidOf(RAW, content.subarray(0, 262_144))
  const { cids } = await carOf(await asker(createGatewayHandler(store))(`/ipfs/${cid}?format=car&entity-bytes=-1:*`))
  expect(cids).toEqual([cid, leaf].map(String))
})
