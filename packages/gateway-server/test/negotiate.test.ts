import { describe, expect, it } from 'vitest'

import { parseAccept } from '../src/accept.ts'
import { CAR_TYPE, errorOf, openGateway, RAW_TYPE } from './support.ts'

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'

/** What a request for the probe is answered with. */
async function answer(query: string, accept?: string): Promise<string> {
  const { ask } = await openGateway()
  const response = await ask(`/ipfs/bafkqaaa${query}`, accept === undefined ? {} : { accept })
  if (response.status !== 200) return `${(await errorOf(response)).status}`
  const type = response.headers.get('content-type') ?? ''
  return type.replace(`${CAR_TYPE}; version=1; order=dfs; `, 'car ').replace(RAW_TYPE, 'raw')
}

describe('format and Accept', () => {
  it.each([
    ['?format=raw', undefined, 'raw'],
    ['?format=car', undefined, 'car dups=n'],
    ['', RAW_TYPE, 'raw'],
    ['', CAR_TYPE, 'car dups=n'],
    ['', CAR_TYPE.toUpperCase(), 'car dups=n'],
    // The URL wins.
    ['?format=raw', CAR_TYPE, 'raw'],
    ['?format=car', RAW_TYPE, 'car dups=n'],
    ['?format=car', 'text/html', 'car dups=n'],
    ['?format=', RAW_TYPE, 'raw'],
    // Neither says what is wanted.
    ['', undefined, '400'],
    ['', '', '400'],
    ['?dag-scope=block', undefined, '400'],
    // Wildcards take a block.
    ['', '*/*', 'raw'],
    ['', 'application/*', 'raw'],
    ['', BROWSER, 'raw'],
    ['', `*/*, ${RAW_TYPE};q=0`, 'car dups=n'],
    ['', `*/*;q=0.1, ${CAR_TYPE};dups=y`, 'car dups=y'],
    // Weights.
    ['', `${RAW_TYPE};q=0.5, ${CAR_TYPE};q=0.6`, 'car dups=n'],
    ['', `${RAW_TYPE}, ${CAR_TYPE}`, 'raw'],
    ['', `${CAR_TYPE}, ${RAW_TYPE}`, 'car dups=n'],
    ['', `${RAW_TYPE};q=0`, '406'],
    ['', `${CAR_TYPE};order=foo, ${CAR_TYPE};order=dfs;dups=y;q=0.5`, 'car dups=y'],
    ['', `${CAR_TYPE};q=0.1;dups=y, ${CAR_TYPE};q=0.2;dups=n`, 'car dups=n'],
    // What is not there.
    ['', 'text/html', '406'],
    ['', 'application/x-tar', '406'],
    ['?format=tar', undefined, '406'],
    ['?format=ipns-record', undefined, '406'],
    ['', 'application/vnd.ipfs.ipns-record', '406'],
    ['?format=foo', undefined, '400'],
    ['?format=foo', RAW_TYPE, '400'],
  ])('%s %s', async (query, accept, expected) => {
    expect(await answer(query, accept)).toBe(expected)
  })
})

describe('how a CAR is written', () => {
  it.each([
    ['', `${CAR_TYPE}; version=1; order=dfs; dups=y`, 'car dups=y'],
    ['', `${CAR_TYPE};version="1";order="dfs";dups="y"`, 'car dups=y'],
    ['', `${CAR_TYPE};order=unk`, 'car dups=n'],
    ['', `${CAR_TYPE};order=;dups=`, 'car dups=n'],
    ['', `${CAR_TYPE};version=2`, '406'],
    ['', `${CAR_TYPE};order=foo`, '406'],
    ['', `${CAR_TYPE};dups=maybe`, '406'],
    ['?format=car', `${CAR_TYPE};dups=y`, 'car dups=y'],
    ['?format=car', `${RAW_TYPE};dups=y`, 'car dups=n'],
    ['?format=car', `${CAR_TYPE};order=foo`, '406'],
    ['?format=car&car-order=dfs', `${CAR_TYPE};order=foo`, 'car dups=n'],
    ['?format=car&car-version=1&car-order=unk&car-dups=y', undefined, 'car dups=y'],
    ['?format=car&car-dups=y', `${CAR_TYPE};dups=n`, 'car dups=y'],
    ['?format=car&car-dups=n', `${CAR_TYPE};dups=y`, 'car dups=n'],
    ['?car-dups=y', CAR_TYPE, 'car dups=y'],
    ['?format=car&car-dups=', `${CAR_TYPE};dups=y`, 'car dups=y'],
    ['?format=car&car-dups=x', undefined, '400'],
    ['?format=car&car-order=bfs', undefined, '400'],
    ['?format=car&car-version=2', undefined, '400'],
    ['?format=car&dag-scope=', undefined, '400'],
    ['?format=car&dag-scope=file', undefined, '400'],
    ['?format=car&entity-bytes=', undefined, '400'],
    // Of a CAR alone.
    ['?format=raw&dag-scope=file&entity-bytes=x', undefined, 'raw'],
  ])('%s %s', async (query, accept, expected) => {
    expect(await answer(query, accept)).toBe(expected)
  })

  it.each(['1', '1:', ':1', '*:1', '1:2:3', '1.5:2', '0x1:2', ' 1:2', '--1:2', '1:-', '9007199254740993:*', 'a:b'])(
    'entity-bytes=%s is refused',
    async (text) => {
      expect(await answer(`?format=car&entity-bytes=${encodeURIComponent(text)}`)).toBe('400')
    },
  )
})

describe('Content-Location names the answer whatever Accept says', () => {
  it.each([
    ['?format=raw', undefined, null],
    ['?format=car&dag-scope=block', undefined, null],
    ['?format=raw', CAR_TYPE, null],
    ['', RAW_TYPE, '?format=raw'],
    ['?filename=a+b', RAW_TYPE, '?filename=a+b&format=raw'],
    ['?dag-scope=entity', `${CAR_TYPE};order=dfs;dups=y`, '?dag-scope=entity&format=car&car-order=dfs&car-dups=y'],
    ['?format=car', `${CAR_TYPE};dups=y`, '?format=car&car-dups=y'],
    ['?format=car&car-dups=n', `${CAR_TYPE};dups=y;version=1`, '?format=car&car-dups=n&car-version=1'],
  ])('%s %s', async (query, accept, expected) => {
    const { ask } = await openGateway()
    const response = await ask(`/ipfs/bafkqaaa${query}`, accept === undefined ? {} : { accept })
    const location = response.headers.get('content-location')
    expect(location).toBe(expected && `/ipfs/bafkqaaa${expected}`)
    if (location === null) return
    const again = await ask(location)
    expect(again.headers.get('etag')).toBe(response.headers.get('etag'))
    expect(again.headers.get('content-type')).toBe(response.headers.get('content-type'))
    expect(again.headers.has('content-location')).toBe(false)
  })
})

const shown = (header: string): unknown[] =>
  parseAccept(header).map(({ type, parameters, quality }) => [type, Object.fromEntries(parameters), quality])

describe('parseAccept', () => {
  it('reads types, parameters and weights', () => {
    expect(shown('a/b, C/D;X="1,\\"2;3";q=0.25 , */*;q=0')).toEqual([
      ['a/b', {}, 1],
      ['c/d', { x: '1,"2;3' }, 0.25],
      ['*/*', {}, 0],
    ])
    // Left out: no slash, no name, a weight that is none.
    expect(shown('a, a/b/c, a/b;=1, a/b;x, a/b;q=2, a/b;q=, , a/b;q=1.000;')).toEqual([['a/b', {}, 1]])
    expect(shown('')).toEqual([])
  })
})
