import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'

import { InvalidInputError } from '@x/cid'
import { array, constantFrom, integer, nat, record, sample, string, tuple } from 'fast-check'
import { expect, it } from 'vitest'

import { pythonOrSkip } from '../../../tooling/python/python-or-skip.ts'
import { openCheckpoint } from '../src/index.ts'
import { bytesOf, collect, filesSource, openMemory, varied, withHeader } from './support.ts'

interface Listed {
  name: string
  dtype: string
  shape: number[]
  sha256: string
}

const NAMES: ReadonlyMap<string, string> = new Map([
  ['U8', 'uint8'],
  ['F32', 'float32'],
  ['BF16', 'bfloat16'],
  ['F8_E4M3', 'float8e4m3fn'],
  ['BOOL', 'bool'],
  ['I64', 'int64'],
])
const WIDTHS: Readonly<Record<string, number>> = { U8: 1, F32: 4, BF16: 2, F8_E4M3: 1, BOOL: 1, I64: 8 }

/** Files that are whole, and such with one thing changed: in the numbers of the header, its text, or the length of the file. */
const files = tuple(
  array(
    record({
      name: string({ unit: 'grapheme', maxLength: 6 }),
      dtype: constantFrom(...Object.keys(WIDTHS)),
      shape: array(integer({ min: 0, max: 4 }), { maxLength: 3 }),
    }),
    { maxLength: 4 },
  ),
  constantFrom('none', 'none', 'offset', 'shape', 'dtype', 'byte', 'cut', 'more', 'length', 'order', 'twice'),
  nat(),
  integer({ min: -3, max: 3 }),
).map(([tensors, change, place, by]): Uint8Array => {
  let end = 0
  const entries = tensors.map(({ name, dtype, shape }, index) => {
    const start = end
    end += shape.reduce((product, size) => product * size, WIDTHS[dtype] ?? 0)
    const entry: { dtype: string; shape: number[]; data_offsets: number[] } = {
      dtype,
      shape: [...shape],
      data_offsets: [start, end],
    }
    return { name: name + (change === 'twice' ? '' : index), entry }
  })
  const one = entries[place % Math.max(1, entries.length)]?.entry
  if (one && change === 'offset') one.data_offsets[place % 2] = (one.data_offsets[place % 2] ?? 0) + by
  if (one && change === 'shape') one.shape[place % 3] = by
  if (one && change === 'dtype') one.dtype = by > 0 ? 'F31' : 'F32'
  const listed = change === 'order' ? entries.toReversed() : entries
  const header = `{${listed.map(({ name, entry }) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',')}}`
  const file = withHeader(header, varied(end, place))
  if (change === 'byte') file[8 + (place % header.length)] = 32 + ((place >> 8) % 95)
  if (change === 'length') file[0] = (file[0] ?? 0) + by
  if (change === 'cut') return file.subarray(0, Math.max(0, file.length - 1 - (place % 12)))
  return change === 'more' ? Buffer.concat([file, varied(1 + (place % 3))]) : file
})

async function askPython(python: string, all: readonly Uint8Array[]): Promise<(Listed[] | null)[]> {
  const child = spawn(python, [fileURLToPath(new URL('oracle.py', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(JSON.stringify(all.map((file) => Buffer.from(file).toString('base64'))))
  return JSON.parse(Buffer.concat(await collect<Uint8Array>(child.stdout)).toString())
}

/** What comes of a file: its tensors in Python's words, or why it is refused. */
async function ours(file: Uint8Array): Promise<Listed[] | string> {
  const store = await openMemory()
  const { cid } = await store.add(filesSource({ 'm.safetensors': file }))
  try {
    const checkpoint = await openCheckpoint(store, cid)
    const listed: Listed[] = []
    for await (const tensor of checkpoint.tensors()) {
      const sha256 = createHash('sha256').update(bytesOf(tensor)).digest('hex')
      listed.push({ name: tensor.name, dtype: tensor.dtype, shape: [...tensor.shape], sha256 })
    }
    return byName(listed)
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message
    throw error
  }
}

const byName = (listed: readonly Listed[]): Listed[] =>
  listed.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)))

/** How what we say and what Python says of a file go together. */
function verdictOf(found: Listed[] | string, wanted: Listed[] | null | undefined): string {
  if (!wanted) return typeof found === 'string' ? 'refused' : 'wrong: Python refuses it'
  // The one thing in which Python is laxer: of two tensors of one name it takes the last.
  if (typeof found === 'string') return /there is a second|has a second/.test(found) ? 'stricter' : `wrong: ${found}`
  const theirs = byName(wanted.map((each) => ({ ...each, dtype: NAMES.get(each.dtype) ?? each.dtype })))
  return isDeepStrictEqual(found, theirs) ? 'taken' : 'wrong: Python finds something else'
}

it('gives what Python finds in a file, and refuses what Python refuses', async (context) => {
  const python = pythonOrSkip(context, 'formats')
  const all = sample(files, 300)
  const theirs = await askPython(python, all)
  const verdicts = new Map<string, number>()
  const wrong: string[] = []
  for (const [at, file] of all.entries()) {
    const verdict = verdictOf(await ours(file), theirs[at])
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
    if (verdict.startsWith('wrong')) wrong.push(`${verdict}: ${Buffer.from(file).toString('base64')}`)
  }
  expect(wrong).toEqual([])
  // Else nothing was compared.
  expect(verdicts.get('taken')).toBeGreaterThan(40)
  expect(verdicts.get('refused')).toBeGreaterThan(40)
  expect(verdicts.get('stricter') ?? 0).toBeLessThan(40)
})
