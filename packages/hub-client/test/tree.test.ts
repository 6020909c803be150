import { describe, expect, it } from 'vitest'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { clientOf, openHub, second, TOKEN, wanted } from './support.ts'

const oid = 'a'.repeat(40)
const file = (path: unknown, more: object = {}): object => ({ type: 'file', path, size: 1, oid, ...more })

async function listing(entries: unknown): Promise<string> {
  return serveOnLoopback((_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(entries)),
  )
}

describe('a listing', () => {
  it('has every file, by the bytes of its path, whatever the pages', async () => {
    for (const pageSize of [1, 2, 1000]) {
      const hub = await openHub({ pageSize })
      const files = await clientOf(hub.url).tree('org/model', second.commit)
      expect(files.map(({ path }) => path)).toEqual(['config.json', 'empty.txt', 'onnx/model.onnx', 'ü/ä b.txt'])
      const model = files[2]
      expect(model).toMatchObject({ size: 300_000, gitOid: wanted('onnx/model.onnx').gitOid })
      expect(Buffer.from(model?.sha256 ?? [])).toEqual(wanted('onnx/model.onnx').sha256)
      expect(files[0]?.sha256).toBeUndefined()
    }
  })

  it('has what is behind a page without entries', async () => {
    const pages = [[], [file('a')], [], [], [file('b')], []]
    const url = await serveOnLoopback((request, response) => {
      const page = Number(new URL(request.url ?? '', 'http://hub').searchParams.get('page'))
      const link = page + 1 < pages.length ? { link: `<?page=${page + 1}>; rel="next"` } : {}
      response.writeHead(200, { 'content-type': 'application/json', ...link }).end(JSON.stringify(pages[page]))
    })
    const files = await clientOf(url).tree('org/model', second.commit)
    expect(files.map(({ path }) => path)).toEqual(['a', 'b'])
  })

  it.each([
    ['..', file('../x')],
    ['an absolute path', file('/etc/passwd')],
    ['an empty segment', file('a//b')],
    ['a dot', file('./a')],
    ['a NUL', file('a\0b')],
    ['a backslash', file(String.raw`..\a`)],
    ['no path', file(undefined)],
    ['no size', file('a', { size: undefined })],
    ['a negative size', file('a', { size: -1 })],
    ['a size with a fraction', file('a', { size: 0.5 })],
    ['a size past what is counted', file('a', { size: 2 ** 60 })],
    ['no Git object', file('a', { oid: 'x' })],
    ['a bad SHA-256', file('a', { lfs: { oid: '../x', size: 1 } })],
    ['two sizes', file('a', { lfs: { oid: 'b'.repeat(64), size: 2 } })],
    ['a bad Xet hash', file('a', { xetHash: '../x' })],
    ['no object', 'a'],
  ])('with %s is refused', async (_what, entry) => {
    await expect(clientOf(await listing([entry])).tree('org/model', second.commit)).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: false,
    })
  })

  it('with a file twice, or one that is a directory, is refused', async () => {
    const twice = await listing([file('a'), file('a')])
    await expect(clientOf(twice).tree('org/model', second.commit)).rejects.toThrow('twice')
    const both = await listing([file('a/b'), file('a')])
    await expect(clientOf(both).tree('org/model', second.commit)).rejects.toThrow('a file and a directory')
  })

  it('that is no list is refused', async () => {
    await expect(clientOf(await listing({})).tree('org/model', second.commit)).rejects.toMatchObject({
      code: 'BACKEND',
    })
  })

  it('is bounded', async () => {
    const hub = await openHub()
    await expect(clientOf(hub.url).tree('org/model', second.commit, { maxFiles: 3 })).rejects.toThrow('over 3 files')
    expect(await clientOf(hub.url).tree('org/model', second.commit, { maxFiles: 4 })).toHaveLength(4)
  })

  it.each([
    ['of directories', [{ type: 'directory', path: 'd' }]],
    ['of nothing', []],
  ])('%s without an end is refused', async (_what, entries) => {
    let page = 0
    const url = await serveOnLoopback((request, response) => {
      page += 1
      const link = `<http://${request.headers.host}/next?page=${page}>; rel="next"`
      response.writeHead(200, { 'content-type': 'application/json', link })
      response.end(JSON.stringify(entries))
    })
    await expect(clientOf(url).tree('org/model', second.commit, { maxFiles: 5 })).rejects.toThrow('too many pages')
    expect(page).toBe(6)
  })

  it('whose pages go in a circle is refused', async () => {
    const url = await serveOnLoopback((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', link: `<${request.url}>; rel="next"` })
      response.end(JSON.stringify([{ type: 'directory', path: 'd' }]))
    })
    await expect(clientOf(url).tree('org/model', second.commit)).rejects.toThrow('circle')
  })

  it('is not followed to another host, where the token would go', async () => {
    const asked: string[] = []
    const other = await serveOnLoopback((request, response) => {
      asked.push(request.headers.authorization ?? 'none')
      response.writeHead(200, { 'content-type': 'application/json' }).end('[]')
    })
    const url = await serveOnLoopback((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', link: `<${other}/x>; rel="next"` })
      response.end(JSON.stringify([file('a')]))
    })
    await expect(clientOf(url, { token: TOKEN }).tree('org/model', second.commit)).rejects.toThrow('next page')
    expect(asked).toEqual([])
  })

  it('is of a commit', async () => {
    const hub = await openHub()
    await expect(clientOf(hub.url).tree('org/model', 'main')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(clientOf(hub.url).tree('org/model', 'f'.repeat(40))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      what: `org/model@${'f'.repeat(40)}`,
    })
  })
})
