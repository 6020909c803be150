import { buildFile, readFile, type Block, type GetBlock } from '@x/cid'
import { expect, it } from 'vitest'

import { readCar } from '../src/car-reader.ts'
import { writeCar } from '../src/car-writer.ts'

const getFrom =
  (held: ReadonlyMap<string, Block>): GetBlock =>
  async (wanted) => {
    const block = held.get(`${wanted}`)
    if (!block) throw new Error(`not held: ${wanted}`)
    return block.bytes
  }

it('writes and reads a CAR in a browser, with the CID that Node gives', async () => {
  const file = new Uint8Array(3_000_000).map((_, index) => index * index)
  const blocks = new Map<string, Block>()
  const { cid } = await buildFile([file], { onBlock: (block) => void blocks.set(`${block.cid}`, block) })
  expect(`${cid}`).toBe('bafybeidvw4tuhq4qep2e6acxwxk7hkm7xl34icgx4upu4vxt72hr4gs3nu')

  const pieces: Uint8Array<ArrayBuffer>[] = []
  for await (const piece of writeCar(getFrom(blocks), cid)) pieces.push(Uint8Array.from(piece))

  const { roots, blocks: read } = await readCar(await streamOf(new Blob(pieces)))
  const arrived = new Map<string, Block>()
  for await (const block of read) arrived.set(`${block.cid}`, block)
  expect(roots.map(String)).toEqual([`${cid}`])
  // Two of its three leaves are the same.
  expect(arrived.size).toBe(3)
  let position = 0
  for await (const bytes of readFile(getFrom(arrived), cid)) {
    expect(bytes).toEqual(file.slice(position, position + bytes.length))
    position += bytes.length
  }
  expect(position).toBe(file.length)
})

/** A stream cut where the browser cuts it. */
async function streamOf(blob: Blob): Promise<AsyncIterable<Uint8Array>> {
  const { body } = await fetch(URL.createObjectURL(blob))
  if (body === null) throw new Error('no body')
  return body
}
