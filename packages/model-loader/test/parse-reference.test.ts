import { CID } from '@x/cid'
import { expect, it } from 'vitest'

import { parseReference, type ModelReference } from '../src/index.ts'

const V1 = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const V0 = 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'

const cid = (text: string): ModelReference => ({ kind: 'cid', cid: CID.parse(text) })
const name = (text: string): ModelReference => ({ kind: 'name', name: text })
const path = (text: string): ModelReference => ({ kind: 'path', path: text })

it.each<[string, ModelReference]>([
  [`ipfs://${V1}`, cid(V1)],
  [`ipfs://${V1}/`, cid(V1)],
  [`IPFS://${V0}`, cid(V0)],
  [V1, cid(V1)],
  [V0, cid(V0)],
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
])('%s', (text, expected) => {
  expect(parseReference(text)).toEqual(expected)
})

it.each([
  ['', 'empty'],
  ['ipfs://', 'it is empty'],
  ['ipfs://bafybeigdyrzt5sfp7udm7', 'not a CID'],
  [`ipfs://${V1}/onnx`, 'no path may follow'],
  [V1.replace('dyrzt', 'dyrzz').slice(0, -1), 'not a CID'],
  [`${V0.slice(0, -1)}0`, 'not a CID'],
  ['hf://org/name', 'hf: is not known'],
  ['https://example.org/model', 'https: is not known'],
  ['org//name', 'empty segment'],
  ['org/../name', 'reserved'],
  ['.manifests/a', 'begins with a dot'],
  ['a\nb', 'control character'],
])('%j is refused: %s', (text, message) => {
  expect(() => parseReference(text)).toThrowError(message)
  expect(() => parseReference(text)).toThrowError(expect.objectContaining({ code: 'INVALID_INPUT' }))
})
