import type { OutputValue } from './canonical.ts'
import { isTensor, type Tensor } from './tensor.ts'

/** In what two outputs differ. */
export interface OutputDifference {
  /** Numbers that stand at the same place in both. */
  numbers: number
  /** Of those, how many differ. */
  differing: number
  /** By how much at most, and where: `[0].score`. 0 where none does. */
  largest: number
  at: string
  /** Whatever else differs: labels, texts, lengths, dims. The first ten, each with its place. */
  others: string[]
  /** How many there are. */
  otherCount: number
}

const SAID = 10

/** Says by how much two outputs differ. Of equal ones nothing does. */
export function compareOutputs(one: OutputValue | undefined, other: OutputValue | undefined): OutputDifference {
  const found: OutputDifference = { numbers: 0, differing: 0, largest: 0, at: '', others: [], otherCount: 0 }
  const differs = (at: string, a: string, b: string): void => {
    found.otherCount += 1
    if (found.others.length < SAID) found.others.push(`${at || 'the output'}: ${a.slice(0, 80)}, not ${b.slice(0, 80)}`)
  }
  const number = (at: string, a: number, b: number): void => {
    found.numbers += 1
    // NaN is equal to NaN here, and an infinity to itself.
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return
    const by = Math.abs(a - b)
    if (!Number.isFinite(by)) return differs(at, String(b), String(a))
    found.differing += 1
    if (by > found.largest) Object.assign(found, { largest: by, at })
  }
  const tensors = (at: string, a: Tensor, b: Tensor): void => {
    const [shape, wanted] = [b, a].map(({ type, dims }) => `${type} [${dims.join(', ')}]`)
    if (shape !== wanted) return differs(at, shape ?? '', wanted ?? '')
    for (let index = 0; index < a.data.length; index++) number(`${at}[${index}]`, itemOf(a, index), itemOf(b, index))
  }
  const values = (at: string, a: OutputValue | undefined, b: OutputValue | undefined): void => {
    if (typeof a === 'number' && typeof b === 'number') return number(at, a, b)
    if (isTensor(a) && isTensor(b)) return tensors(at, a, b)
    if (Array.isArray(a) && Array.isArray(b)) {
      if (a.length !== b.length) differs(at, `${b.length} items`, `${a.length} items`)
      for (let index = 0; index < Math.min(a.length, b.length); index++) values(`${at}[${index}]`, a[index], b[index])
      return
    }
    const [first, second] = [fieldsOf(a), fieldsOf(b)]
    if (first && second) {
      for (const key of new Set([...Object.keys(first), ...Object.keys(second)])) {
        values(at === '' ? key : `${at}.${key}`, first[key], second[key])
      }
      return
    }
    if (a !== b) differs(at, toText(b), toText(a))
  }
  values('', one, other)
  return found
}

function fieldsOf(value: OutputValue | undefined): Record<string, OutputValue | undefined> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isTensor(value)) return undefined
  return Object.fromEntries(Object.entries(value))
}

function itemOf({ type, data }: Tensor, index: number): number {
  const item = Number(data[index])
  return type === 'float16' ? fromHalf(item) : item
}

/** Of 1 bit for the sign, 5 for the exponent and 10 for the fraction. */
function fromHalf(bits: number): number {
  const sign = bits >> 15 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = (bits & 1023) / 1024
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity
  return exponent === 0 ? sign * 2 ** -14 * fraction : sign * 2 ** (exponent - 15) * (1 + fraction)
}

function toText(value: OutputValue | undefined): string {
  if (isTensor(value)) return `a tensor ${value.type} [${value.dims.join(', ')}]`
  return value === undefined ? 'nothing' : JSON.stringify(value)
}
