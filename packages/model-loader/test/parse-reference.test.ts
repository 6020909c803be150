import { CID, isStorageError } from '@x/cid'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { hubReference, parseReference, type ModelReference } from '../src/index.ts'

const V1 = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const V0 = 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'

const cid = (text: string): ModelReference => ({ kind: 'cid', cid: CID.parse(text) })
const name = (text: string): ModelReference => ({ kind: 'name', name: text })
const ipns = (text: string): ModelReference => ({ kind: 'ipns', name: text })
const path = (text: string): ModelReference => ({ kind: 'path', path: text })

it.each<[string, ModelReference]>([
  [`ipfs://${V1}`, cid(V1)],
  [`ipfs://${V1}/`, cid(V1)],
  [`IPFS://${V0}`, cid(V0)],
  [V1, cid(V1)],
  [V0, cid(V0)],
  [`${V1}/onnx/a`, { kind: 'cid', cid: CID.parse(V1), path: 'onnx/a' }],
  [`/ipfs/${V1}`, cid(V1)],
  [`/ipfs/${V0}/onnx/`, { kind: 'cid', cid: CID.parse(V0), path: 'onnx' }],
  ['/ipfs/models', path('/ipfs/models')],
  ['org/name', name('org/name')],
  ['all-MiniLM-L6-v2', name('all-MiniLM-L6-v2')],
  ['org/.hidden', name('org/.hidden')],
  ['models', name('models')],
  ['./models', path('./models')],
  ['../models', path('../models')],
  ['.', path('.')],
  ['..', path('..')],
  ['/models/a', path('/models/a')],
  ['C:\\models', path('C:\\models')],
  ['c:/models', path('c:/models')],
  ['models\\a', path('models\\a')],
  ['file:///models/a', path('file:///models/a')],
  [`ipfs://${V1}/onnx/a`, { kind: 'cid', cid: CID.parse(V1), path: 'onnx/a' }],
  [
    'ipns://k51qzi5uqu5dkuf5cvdcz3gbtfhiw5p2b42z5bacy2xfx6jn2ml2y2rxjbk09z/',
    ipns('k51qzi5uqu5dkuf5cvdcz3gbtfhiw5p2b42z5bacy2xfx6jn2ml2y2rxjbk09z'),
  ],
  ['ipns://models.example.org', ipns('models.example.org')],
  ['hf://org/name', { kind: 'hub', repo: 'org/name' }],
  ['hf://gpt2@v1.0', { kind: 'hub', repo: 'gpt2', revision: 'v1.0' }],
  ['HF://org/na.me_-x@refs/pr/1', { kind: 'hub', repo: 'org/na.me_-x', revision: 'refs/pr/1' }],
  ['org/name@1.2.0+b', { kind: 'name', name: 'org/name', version: '1.2.0+b' }],
  ['a/b/c@main', { kind: 'name', name: 'a/b/c', version: 'main' }],
  ['s3://bucket', { kind: 's3', bucket: 'bucket', prefix: '' }],
  ['s3://my.bucket/models/a/', { kind: 's3', bucket: 'my.bucket', prefix: 'models/a' }],
])('%s', (text, expected) => {
  expect(parseReference(text)).toEqual(expected)
})

it.each([
  ['', 'empty'],
  ['ipfs://', 'it is empty'],
  ['ipfs://bafybeigdyrzt5sfp7udm7', 'not a CID'],
  [`ipfs://${V1}/../x`, 'character 68: directory entry ".."'],
  ['ipns://a/b', 'character 10: no path may follow'],
  ['ipns://-', 'character 8: that is no name of IPNS'],
  ['hf://', 'character 6: repository "": it is empty'],
  ['hf://datasets/org/name', 'character 6: repository "datasets/org/name": it is org/name and nothing more'],
  ['hf://org/na--me', 'character 6: repository "org/na--me": "na--me" cannot stand in one'],
  ['hf://org/name.git', 'ends with .git'],
  ['hf://org//name', 'empty segment'],
  ['hf://org/name@', 'character 15: revision "": it is empty'],
  ['hf://org/name@a b', 'character 15: revision "a b": it may have letters'],
  ['hf://org/name@../x', 'cannot stand in one'],
  ['hf://org/name@a..b', 'two dots'],
  ['hf://org/name@a/x.lock', 'cannot stand in one'],
  [`hf://org/name@${'a'.repeat(256)}`, 'over 255 characters'],
  [`hf://org/${'a'.repeat(97)}`, 'over 96 characters'],
  [`hf://${'o'.repeat(97)}/name`, 'over 96 characters'],
  ['hf://org/name@a#b', 'it may have letters'],
  ['org/name@', 'character 10: revision "": it is empty'],
  ['org/name@1@2', 'character 10: revision "1@2"'],
  ['s3://B/x', 'character 6: that is no bucket'],
  ['s3://bucket/a/../b', 'character 13: directory entry ".."'],
  [V1.replace('dyrzt', 'dyrzz').slice(0, -1), 'not a CID'],
  [`${V0.slice(0, -1)}0`, 'not a CID'],
  [`${V1.replace('dyrzt', 'dyrzz').slice(0, -1)}/onnx`, 'not a CID'],
  [`${V1}/../x`, 'character 61: directory entry ".."'],
  ['https://example.org/model', 'https: is not known'],
  ['org//name', 'empty segment'],
  ['org/../name', 'reserved'],
  ['.manifests/a', 'begins with a dot'],
  ['a\nb', 'control character'],
])('%j is refused: %s', (text, message) => {
  expect(() => parseReference(text)).toThrowError(message)
  expect(() => parseReference(text)).toThrowError(expect.objectContaining({ code: 'INVALID_INPUT' }))
})

it.each<[string, unknown]>([
  ['hf://org/name@v1', { repo: 'org/name', revision: 'v1' }],
  ['org/name', { repo: 'org/name' }],
  ['org/name@v1', { repo: 'org/name', revision: 'v1' }],
  ['a/b/c', undefined],
  ['na me', undefined],
  [V1, undefined],
  ['./org/name', undefined],
])('%s may be of the hub: %j', (text, expected) => {
  expect(hubReference(parseReference(text))).toEqual(expected)
})

it('whatever is typed is a reference or is refused, with a place', () => {
  const parts = fc.constantFrom(
    'ipfs://',
    'hf://',
    's3://',
    'ipns://',
    'org/name',
    '@',
    '/',
    '.',
    '..',
    V1,
    V0,
    ':',
    ' ',
    '\u00e9',
  )
  const typed = fc.oneof(
    fc.string(),
    fc.array(parts, { maxLength: 6 }).map((items) => items.join('')),
  )
  fc.assert(
    fc.property(typed, (text) => {
      expect(complaint(text)).toMatch(/^$|, character \d+: /)
    }),
    { numRuns: 1000 },
  )
})

function complaint(text: string): string {
  try {
    parseReference(text)
    return ''
  } catch (error) {
    return isStorageError(error) && error.code === 'INVALID_INPUT' ? error.message : `other: ${String(error)}`
  }
}
