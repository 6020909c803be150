import { buildDirectory, CID, cidOf, DAG_CBOR, encodeDagCbor, RAW, tracePath, walkDag, type NodeLink } from '@x/cid'
import { describe, expect, it } from 'vitest'

import { directoryOf } from '../../storage-core/src/conformance/sample.ts'
import { CAR_TYPE, carOf, errorOf, openGateway, utf8, type Gateway } from './support.ts'

const CHUNK = 262_144

interface Filled extends Gateway {
  root: CID
  /** What a path leads to. */
  at: (path: string) => Promise<CID>
  /** All blocks below a path, its own first. */
  below: (path: string) => Promise<string[]>
}

/** `dir/big` of five leaves, the second and the fourth the same; `dir/small`; `small`, the same; `empty`. */
async function openFilled(): Promise<Filled> {
  const gateway = await openGateway()
  const leaves = [1, 2, 3, 2, 4].map((seed) => new Uint8Array(CHUNK).fill(seed))
  const { cid: root } = await gateway.store.add(
    directoryOf({
      dir: { big: Buffer.concat(leaves).subarray(0, 4 * CHUNK + 100), small: utf8('small') },
      empty: new Uint8Array(),
      small: utf8('small'),
    }),
    { profile: 'kubo-v1' },
  )
  const get = (cid: CID): Promise<Uint8Array> => gateway.store.blocks.get(cid)
  const at = async (path: string): Promise<CID> => (await tracePath(get, root, path)).cid
  const below = async (path: string): Promise<string[]> => {
    const cids: string[] = []
    for await (const cid of walkDag(get, await at(path))) cids.push(cid.toString())
    return cids
  }
  return { ...gateway, root, at, below }
}

describe('a CAR', () => {
  it('holds the whole DAG, depth-first, with what the specification asks for', async () => {
    const { ask, root, below } = await openFilled()
    const response = await ask(`/ipfs/${root}?format=car`)
    expect(Object.fromEntries(response.headers)).toEqual({
      'accept-ranges': 'none',
      'cache-control': 'public, max-age=29030400, immutable',
      'content-disposition': `attachment; filename="${root}.car"`,
      'content-type': `${CAR_TYPE}; version=1; order=dfs; dups=n`,
      etag: expect.stringMatching(new RegExp(`^W/"${root}\\.car\\.[0-9a-f]{32}"$`)),
      'ipfs-uri': `ipfs://${root}`,
      vary: 'Accept',
      'x-content-type-options': 'nosniff',
      'x-ipfs-path': `/ipfs/${root}`,
      'x-ipfs-roots': root.toString(),
    })
    expect(await carOf(response)).toEqual({ roots: [root.toString()], cids: await below('') })
  })

  it('repeats blocks with dups=y', async () => {
    const { ask, root, at, below } = await openFilled()
    const { cids } = await carOf(await ask(`/ipfs/${root}?format=car&car-dups=y`))
    const [big = '', one = '', two = '', three = '', five = ''] = await below('dir/big')
    const [dir, small, empty] = [await at('dir'), await at('small'), await at('empty')].map(String)
    expect(cids).toEqual([root.toString(), dir, big, one, two, three, two, five, small, empty, small])
  })

  it('begins with the blocks of its path', async () => {
    const { ask, root, at, below } = await openFilled()
    const response = await ask(`/ipfs/${root}/dir//big/?format=car`)
    const [dir, big] = [await at('dir'), await at('dir/big')].map(String)
    expect(response.headers.get('x-ipfs-roots')).toBe([root, dir, big].join(','))
    expect(response.headers.get('x-ipfs-path')).toBe(`/ipfs/${root}/dir/big`)
    expect(response.headers.get('ipfs-uri')).toBe(`ipfs://${root}/dir/big`)
    expect(await carOf(response)).toEqual({ roots: [big], cids: [root.toString(), dir, ...(await below('dir/big'))] })
  })

  it.each([
    ['', 'block', ['']],
    ['', 'entity', ['']],
    ['/dir', 'block', ['', 'dir']],
    ['/dir', 'entity', ['', 'dir']],
    ['/dir/big', 'block', ['', 'dir', 'dir/big']],
    ['/empty', 'entity', ['', 'empty']],
    ['/small', 'all', ['', 'small']],
  ])('of %s with dag-scope=%s', async (path, scope, expected) => {
    const { ask, root, at } = await openFilled()
    const { cids } = await carOf(await ask(`/ipfs/${root}${path}?format=car&dag-scope=${scope}`))
    expect(cids).toEqual((await Promise.all(expected.map(at))).map(String))
  })

  it('holds nothing for an inline CID, and what an inline block links to', async () => {
    const { ask, store } = await openGateway()
    for (const dups of ['y', 'n']) {
      const { roots, cids } = await carOf(await ask('/ipfs/bafkqaaa', { accept: `${CAR_TYPE};dups=${dups}` }))
      expect([roots, cids]).toEqual([['bafkqaaa'], []])
    }
    const leaf = await cidOf(RAW, utf8('leaf'))
    await store.blocks.put(leaf, utf8('leaf'))
    const { bytes } = await encodeDagCbor([leaf])
    const node = CID.decode(Uint8Array.of(1, DAG_CBOR, 0, bytes.length, ...bytes))
    expect((await carOf(await ask(`/ipfs/${node}?format=car`))).cids).toEqual([leaf.toString()])
    expect((await carOf(await ask(`/ipfs/${node}/0?format=car`))).cids).toEqual([leaf.toString()])
  })

  it('is not begun for HEAD', async () => {
    const { ask, root } = await openFilled()
    const url = `/ipfs/${root}/dir/big?format=car&entity-bytes=0:1`
    const [get, head] = [await ask(url), await ask(url, {}, 'HEAD')]
    expect(Object.fromEntries(head.headers)).toEqual(Object.fromEntries(get.headers))
    expect([head.status, head.body]).toEqual([200, null])
    await get.body?.cancel()
    expect((await ask(`/ipfs/${root}/no?format=car`, {}, 'HEAD')).status).toBe(404)
  })
})

describe('entity-bytes', () => {
  const SIZE = 4 * CHUNK + 100
  // Which of the five leaves.
  it.each([
    ['0:*', [0, 1, 2, 4]],
    ['0:0', [0]],
    [`0:${CHUNK}`, [0, 1]],
    [`${CHUNK}:${2 * CHUNK - 1}`, [1]],
    [`${CHUNK - 1}:${CHUNK}`, [0, 1]],
    [`${3 * CHUNK}:*`, [3, 4]],
    ['-1:*', [4]],
    ['-101:*', [3, 4]],
    ['-999999999:*', [0, 1, 2, 4]],
    ['-999999999:-101', [0, 1, 2]],
    [`${2 * CHUNK}:-100`, [2, 3, 4]],
    [`${2 * CHUNK}:-101`, [2, 3]],
    [`${SIZE - 1}:999999999`, [4]],
    // Nothing in between.
    ['5:4', []],
    [`5:-${SIZE}`, []],
  ])('%s', async (range, leaves) => {
    const { ask, root, at, store } = await openFilled()
    const big = await at('dir/big')
    const links = [...leafLinks(await store.blocks.get(big))]
    const url = `/ipfs/${root}/dir/big?format=car&entity-bytes=${range}`
    for (const scope of ['', '&dag-scope=entity', '&dag-scope=all']) {
      const { cids } = await carOf(await ask(url + scope))
      expect(cids).toEqual([`${root}`, `${await at('dir')}`, `${big}`, ...leaves.map((index) => links[index])])
    }
  })

  it.each([`${SIZE}:*`, '999999999:*', `-${2 * SIZE}:-${SIZE + 1}`])('%s lies outside', async (range) => {
    const { ask, root } = await openFilled()
    expect(await errorOf(await ask(`/ipfs/${root}/dir/big?format=car&entity-bytes=${range}`))).toEqual({
      status: 400,
      message: `entity-bytes lies outside of the ${SIZE} bytes of the file`,
    })
  })

  it('of an empty file is the file', async () => {
    const { ask, root, at } = await openFilled()
    for (const range of ['0:*', '7:9', '-1:*']) {
      const { cids } = await carOf(await ask(`/ipfs/${root}/empty?format=car&entity-bytes=${range}`))
      expect(cids).toEqual([`${root}`, `${await at('empty')}`])
    }
  })

  it('means nothing for what is no file', async () => {
    const { ask, root, at, store } = await openFilled()
    const { cids } = await carOf(await ask(`/ipfs/${root}/dir?format=car&entity-bytes=999999:*`))
    expect(cids).toEqual([`${root}`, `${await at('dir')}`])
    const manifest = await encodeDagCbor({ files: [root] })
    await store.blocks.put(manifest.cid, manifest.bytes)
    const ofCbor = await carOf(await ask(`/ipfs/${manifest.cid}?format=car&entity-bytes=5:6`))
    expect(ofCbor.cids).toEqual([manifest.cid.toString()])
  })
})

/** Links of a file's node of raw leaves, found by their bytes. */
function* leafLinks(node: Uint8Array): Generator<string> {
  // Version 1, raw, sha2-256, 32 bytes.
  for (let at = 0; at < node.length - 36; at++) {
    if (
      node[at] !== 0x12 &&
      node[at] === 0x01 &&
      node[at + 1] === 0x55 &&
      node[at + 2] === 0x12 &&
      node[at + 3] === 0x20
    ) {
      yield CID.decode(node.slice(at, at + 36)).toString()
    }
  }
}

describe('paths', () => {
  it('go through a sharded directory by the shards of the name alone', async () => {
    const { ask, store } = await openGateway()
    const entries: NodeLink[] = []
    for (let index = 0; index < 6000; index++) {
      const name = `a name of some length for entry ${index} é`
      const cid = await cidOf(RAW, utf8(name))
      await store.blocks.put(cid, utf8(name), { verified: true })
      entries.push({ name, cid, dagBytes: name.length })
    }
    const shards: string[] = []
    const { cid: root } = await buildDirectory(entries, {
      onBlock: async ({ cid, bytes }) => {
        shards.push(cid.toString())
        await store.blocks.put(cid, bytes, { verified: true })
      },
    })
    const { name, cid } = entries[1234] ?? { name: '', cid: root }
    const { cids } = await carOf(await ask(`/ipfs/${root}/${encodeURIComponent(name)}?format=car`))
    expect([cids[0], cids.at(-1)]).toEqual([root.toString(), cid.toString()])
    expect(cids.length).toBeLessThan(6)
    const whole = await carOf(await ask(`/ipfs/${root}?format=car&dag-scope=entity`))
    expect(whole.cids.toSorted()).toEqual(shards.toSorted())
    expect((await ask(`/ipfs/${root}/none?format=car`)).status).toBe(404)
  })

  it('go through dag-cbor to a link, and not into its values', async () => {
    const { ask, store, root } = await openFilled()
    const manifest = await encodeDagCbor({ 'a b': { files: [root] }, text: 'x' })
    await store.blocks.put(manifest.cid, manifest.bytes)
    const { cids } = await carOf(await ask(`/ipfs/${manifest.cid}/a%20b/files/0/small?format=car&dag-scope=block`))
    expect(cids.slice(0, 2)).toEqual([manifest.cid.toString(), root.toString()])
    const all = await carOf(await ask(`/ipfs/${manifest.cid}?format=car`))
    expect(all.cids.length).toBeGreaterThan(5)
    expect(await errorOf(await ask(`/ipfs/${manifest.cid}/text?format=car`))).toEqual({
      status: 501,
      message: `"text" lies inside the block ${manifest.cid}`,
    })
    expect((await ask(`/ipfs/${manifest.cid}/no?format=car`)).status).toBe(404)
  })

  it('are decoded once', async () => {
    const { ask, store } = await openGateway()
    const name = 'a%20 é?#.txt'
    const { cid } = await store.add(directoryOf({ [name]: utf8('x') }))
    const response = await ask(`/ipfs/${cid}/${encodeURIComponent(name)}?format=car`)
    expect(response.headers.get('x-ipfs-path')).toBe(`/ipfs/${cid}/${encodeURIComponent(name)}`)
    expect((await carOf(response)).cids).toHaveLength(2)
  })
})

it('the tag differs with all that makes another CAR, and with nothing else', async () => {
  const { ask, root } = await openFilled()
  const tagOf = async (rest: string, accept?: string): Promise<string | null> => {
    const response = await ask(`/ipfs/${root}${rest}`, accept === undefined ? {} : { accept })
    await response.body?.cancel()
    return response.headers.get('etag')
  }
  const different = [
    '?format=car',
    '/dir?format=car',
    '?format=car&dag-scope=block',
    '?format=car&dag-scope=entity',
    '?format=car&car-dups=y',
    '/dir/big?format=car',
    '/dir/big?format=car&dag-scope=entity',
    '/dir/big?format=car&entity-bytes=0:*',
    '/dir/big?format=car&entity-bytes=1:*',
    '/dir/big?format=car&entity-bytes=1:9',
  ]
  const tags = await Promise.all(different.map((rest) => tagOf(rest)))
  expect(new Set(tags).size).toBe(different.length)
  const same = [tagOf('', CAR_TYPE), tagOf('/?format=car&car-order=dfs'), tagOf('?format=car&filename=a&dag-scope=all')]
  expect(new Set(await Promise.all(same))).toEqual(new Set([tags[0]]))
})

it('If-None-Match is answered without reading anything', async () => {
  const { ask, root } = await openFilled()
  const url = `/ipfs/${root}/dir?format=car&dag-scope=block`
  const etag = (await ask(url)).headers.get('etag') ?? ''
  const other = await openGateway()
  for (const header of [etag, etag.slice(2), `"x", ${etag}`]) {
    expect((await other.ask(url, { 'if-none-match': header })).status).toBe(304)
  }
  expect((await other.ask(url, { 'if-none-match': '*' })).status).toBe(404)
  expect((await ask(url, { 'if-none-match': '*' })).status).toBe(304)
})
