import { cidOf, RAW } from '@x/cid'
import { describe, expect, it } from 'vitest'

import { sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { bytesOf, errorOf, openGateway, RAW_TYPE, utf8, type Gateway } from './support.ts'

async function withBlock(bytes = utf8('hello world')): Promise<Gateway & { path: string; cid: string }> {
  const gateway = await openGateway()
  const cid = await cidOf(RAW, bytes)
  await gateway.store.blocks.put(cid, bytes)
  return { ...gateway, cid: cid.toString(), path: `/ipfs/${cid}?format=raw` }
}

describe('a block', () => {
  it('is sent as it is, with what the specification asks for', async () => {
    const { ask, path, cid } = await withBlock()
    const response = await ask(path)
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toEqual({
      'accept-ranges': 'bytes',
      'cache-control': 'public, max-age=29030400, immutable',
      'content-disposition': `attachment; filename="${cid}.bin"`,
      'content-length': '11',
      'content-type': RAW_TYPE,
      etag: `"${cid}.raw"`,
      'ipfs-uri': `ipfs://${cid}`,
      vary: 'Accept',
      'x-content-type-options': 'nosniff',
      'x-ipfs-path': `/ipfs/${cid}`,
      'x-ipfs-roots': cid,
    })
    expect(await response.text()).toBe('hello world')
  })

  it('is found by any writing of its CID, a slash behind it or not', async () => {
    const { ask, store } = await openGateway()
    const { cid } = await store.add(utf8('x'.repeat(300_000)), { profile: 'unixfs-v0-2015' })
    expect(cid.version).toBe(0)
    for (const text of [`${cid}`, `${cid}/`, `${cid.toV1()}`]) {
      const response = await ask(`/ipfs/${text}?format=raw`)
      expect([text, response.status]).toEqual([text, 200])
      expect((await cidOf(cid.code, await bytesOf(response))).equals(cid.toV1())).toBe(true)
    }
  })

  it('answers the probe with nothing, and other inline CIDs with what they hold', async () => {
    const { ask } = await openGateway()
    for (const method of ['GET', 'HEAD']) {
      const probe = await ask('/ipfs/bafkqaaa?format=raw', {}, method)
      expect([probe.status, probe.headers.get('content-length'), await probe.text()]).toEqual([200, '0', ''])
    }
    const inlined = await ask('/ipfs/bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa?format=raw')
    expect(await inlined.text()).toMatch(/^hello/)
  })

  it('is not sent for HEAD, all else is', async () => {
    const { ask, path } = await withBlock()
    const [get, head] = [await ask(path), await ask(path, { range: 'bytes=0-1' }, 'HEAD')]
    expect(Object.fromEntries(head.headers)).toEqual(Object.fromEntries(get.headers))
    expect([head.status, head.body]).toEqual([200, null])
  })

  it('has no path', async () => {
    const { ask, cid } = await withBlock()
    for (const answer of [ask(`/ipfs/${cid}/a?format=raw`), ask(`/ipfs/${cid}/a`, { accept: RAW_TYPE })]) {
      expect(await errorOf(await answer)).toEqual({ status: 406, message: expect.stringContaining('format=car') })
    }
  })
})

describe('Range', () => {
  const block = sampleBytes(1, 57)

  it.each([
    ['bytes=6-16', 6, 17],
    ['bytes=0-0', 0, 1],
    ['bytes=50-', 50, 57],
    ['bytes=50-9999', 50, 57],
    ['bytes=-7', 50, 57],
    ['bytes=-9999', 0, 57],
    ['Bytes = 1 - 2', 1, 3],
  ])('%s', async (range, start, end) => {
    const { ask, path, cid } = await withBlock(block)
    const response = await ask(path, { range })
    expect(response.status).toBe(206)
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/57`)
    expect(response.headers.get('content-length')).toBe(String(end - start))
    expect(response.headers.get('etag')).toBe(`"${cid}.raw"`)
    expect(await bytesOf(response)).toEqual(block.slice(start, end))
  })

  it.each(['bytes=57-', 'bytes=99-100', 'bytes=-0'])('%s lies behind it', async (range) => {
    const { ask, path } = await withBlock(block)
    const response = await ask(path, { range })
    expect(response.headers.get('content-range')).toBe('bytes */57')
    expect(await errorOf(response)).toEqual({ status: 416, message: 'the block has 57 bytes' })
  })

  it.each(['bytes=0-1,3-4', 'bytes=5-2', 'bytes=-', 'bytes=a-b', 'lines=1-2', ''])(
    '%s is as good as none',
    async (range) => {
      const { ask, path } = await withBlock(block)
      const response = await ask(path, { range })
      expect([response.status, (await bytesOf(response)).length]).toEqual([200, 57])
    },
  )

  it('holds with If-Range only for the same block', async () => {
    const { ask, path, cid } = await withBlock(block)
    const statusOf = async (tag: string): Promise<number> =>
      (await ask(path, { range: 'bytes=0-1', 'if-range': tag })).status
    expect([await statusOf(`"${cid}.raw"`), await statusOf('"other"'), await statusOf(`W/"${cid}.raw"`)]).toEqual([
      206, 200, 200,
    ])
  })
})

describe('If-None-Match', () => {
  it('is answered with 304 by every way to name the tag', async () => {
    const { ask, path, cid } = await withBlock()
    for (const header of [
      `"${cid}.raw"`,
      `W/"${cid}.raw"`,
      `"a", "${cid}.raw"`,
      `"a,b" , W/"${cid}.raw"`,
      '*',
      ' * ',
    ]) {
      const response = await ask(path, { 'if-none-match': header })
      expect([header, response.status, response.body]).toEqual([header, 304, null])
      expect(response.headers.get('etag')).toBe(`"${cid}.raw"`)
      expect(response.headers.get('cache-control')).toContain('immutable')
      expect(response.headers.has('content-type')).toBe(false)
    }
    for (const header of [`"${cid}"`, `"${cid}.car"`, `${cid}.raw`, '']) {
      expect([header, (await ask(path, { 'if-none-match': header })).status]).toEqual([header, 200])
    }
  })

  it('asks with * whether there is a block', async () => {
    const { ask } = await openGateway()
    const absent = `/ipfs/${await cidOf(RAW, utf8('absent'))}?format=raw`
    expect((await ask(absent, { 'if-none-match': '*' })).status).toBe(404)
  })
})

it('only-if-cached asks whether it is held', async () => {
  const { ask, path } = await withBlock()
  const cached = { 'cache-control': 'no-transform, Only-If-Cached' }
  expect((await ask(path, cached)).status).toBe(200)
  expect((await ask('/ipfs/bafkqaaa?format=raw', cached)).status).toBe(200)
  const cid = await cidOf(RAW, utf8('absent'))
  for (const method of ['GET', 'HEAD']) expect((await ask(`/ipfs/${cid}?format=raw`, cached, method)).status).toBe(412)
  expect(await errorOf(await ask(`/ipfs/${cid}?format=raw`, cached))).toEqual({
    status: 412,
    message: `not held here: ${cid}`,
  })

  const asked: string[] = []
  const isHeld = async (one: { toString(): string }): Promise<boolean> => (asked.push(one.toString()), false)
  const other = await openGateway({ isHeld })
  expect((await other.ask(path, cached)).status).toBe(412)
  expect(asked).toHaveLength(1)
})

describe('filename', () => {
  it.each([
    ['foobar.bin', `attachment; filename="foobar.bin"`],
    ['testтест.pdf', `attachment; filename="test____.pdf"; filename*=UTF-8''test%D1%82%D0%B5%D1%81%D1%82.pdf`],
    ['a"b\\c%41.txt', `attachment; filename="a_b_c_41.txt"; filename*=UTF-8''a%22b%5Cc%2541.txt`],
    ["it's (1)*.txt", `attachment; filename="it's (1)*.txt"`],
    ["é's (1)*.txt", `attachment; filename="_'s (1)*.txt"; filename*=UTF-8''%C3%A9%27s%20%281%29%2A.txt`],
    ['a\r\nset-cookie: x', `attachment; filename="a__set-cookie: x"; filename*=UTF-8''a%0D%0Aset-cookie%3A%20x`],
    ['😀', `attachment; filename="_"; filename*=UTF-8''%F0%9F%98%80`],
  ])('%j', async (filename, expected) => {
    const { ask, path } = await withBlock()
    const response = await ask(`${path}&filename=${encodeURIComponent(filename)}&download=true`)
    expect(response.headers.get('content-disposition')).toBe(expected)
  })

  it('is cut where clients would refuse the header', async () => {
    const { ask, path } = await withBlock()
    const response = await ask(`${path}&filename=${'é'.repeat(4000)}`)
    expect(response.headers.get('content-disposition')?.length).toBeLessThan(2000)
    // Not in the middle of a character.
    const cut = await ask(`${path}&filename=${encodeURIComponent(`${'a'.repeat(254)}😀`)}`)
    expect(cut.headers.get('content-disposition')).toContain('%EF%BF%BD')
  })
})
