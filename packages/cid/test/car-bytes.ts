import * as dagCbor from '@ipld/dag-cbor'
import type { Block, CID } from '@x/cid'

import { readCar, type Car, type ReadCarOptions } from '../src/car-reader.ts'
import { collect } from './oracle.ts'

/** CAR files put together by hand, from the specifications alone: https://ipld.io/specs/transport/car/ */

export function leb128(value: number): number[] {
  const bytes: number[] = []
  let left = BigInt(value)
  for (; left >= 128n; left >>= 7n) bytes.push(Number(left & 127n) | 128)
  return [...bytes, Number(left)]
}

export const prefixed = (...parts: Uint8Array[]): Buffer => {
  const bytes = Buffer.concat(parts)
  return Buffer.concat([Uint8Array.from(leb128(bytes.length)), bytes])
}

export const headerOf = (roots: readonly CID[]): Buffer => prefixed(dagCbor.encode({ version: 1, roots }))

export const sectionOf = ({ cid, bytes }: Block): Buffer => prefixed(cid.bytes, bytes)

export const carOf = (roots: readonly CID[], blocks: readonly Block[]): Buffer =>
  Buffer.concat([headerOf(roots), ...blocks.map(sectionOf)])

export interface V2Layout {
  padding?: number
  index?: Uint8Array
  dataOffset?: bigint
  dataSize?: bigint
  indexOffset?: bigint
}

export function v2Of(data: Uint8Array, { padding = 0, index = new Uint8Array(), ...said }: V2Layout = {}): Buffer {
  const start = 51 + padding
  const header = Buffer.alloc(40)
  header.writeBigUInt64LE(said.dataOffset ?? BigInt(start), 16)
  header.writeBigUInt64LE(said.dataSize ?? BigInt(data.length), 24)
  header.writeBigUInt64LE(said.indexOffset ?? (index.length === 0 ? 0n : BigInt(start + data.length)), 32)
  return Buffer.concat([Buffer.from('0aa16776657273696f6e02', 'hex'), header, Buffer.alloc(padding), data, index])
}

export interface ReadBack extends Omit<Car, 'blocks'> {
  blocks: Block[]
}

export async function readAll(
  source: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: ReadCarOptions = {},
): Promise<ReadBack> {
  const car = await readCar(source instanceof Uint8Array ? [source] : source, options)
  return { ...car, blocks: await collect(car.blocks) }
}

export const namesOf = (blocks: readonly Block[]): string[] => blocks.map(({ cid }) => cid.toString())

/** A block in a form that says everything about it. */
export const shown = (blocks: readonly Block[]): string[] =>
  blocks.map(({ cid, bytes }) => `${cid} ${Buffer.from(bytes).toString('base64')}`)
