import type { CID } from 'multiformats/cid'

import { MAX_CID_BYTES, readCidBytes } from './car-cid.ts'
import { decodeCarHeader, decodeV2Header, isV2Pragma, V2_HEADER_BYTES } from './car-header.ts'
import { createCarSource, type CarSource } from './car-source.ts'
import { IntegrityError, InvalidInputError, UnsupportedError } from './errors.ts'
import { DIGEST_BYTES, IDENTITY, verify as verifyBlock } from './hash.ts'
import { MAX_BLOCK_BYTES } from './outboard.ts'
import type { Block } from './unixfs-node.ts'

export interface ReadCarOptions {
  /** Rejects with `signal.reason` at once, also while the source is waited for, which is then closed. */
  signal?: AbortSignal | undefined
  /** Bytes of the CAR read so far. Called after the header and after each block. */
  onProgress?: ((loaded: number) => void) | undefined
  /** Refuse a larger block, before any memory is taken for it. Bytes; default 2 MiB, the most that IPFS peers take. */
  maxBlockBytes?: number | undefined
  /** Refuse a larger header. Bytes; default 1 MiB, some 25,000 roots. */
  maxHeaderBytes?: number | undefined
  /**
   * `none` hands blocks on unchecked, those under unknown hash functions too: for a caller that checks them itself.
   * Default `each-block`.
   */
  verify?: 'each-block' | 'none' | undefined
}

/** A CAR whose header has been read. */
export interface Car {
  version: 1 | 2
  /** What the header names, in its order: a claim. None of them need be among the blocks, or there may be none. */
  roots: CID[]
  /** In the order of the CAR, once each. Read as they are asked for. `return()` closes the source. */
  blocks: AsyncGenerator<Block>
}

const MIB = 1024 * 1024

/**
 * Reads a CARv1 or CARv2, one block at a time, each checked against its CID before it is handed on. Holds one piece of
 * the source and one block. The index of a CARv2 is not read.
 *
 * A CARv1 does not say where it ends: one cut short between two blocks looks complete. Who needs the whole DAG walks it.
 *
 * @param source - Pieces of any size. Closed when the last block was read, when it fails, and when `blocks` is left early.
 * @throws {InvalidInputError} It is no CAR, is cut short, or has a header or block over the limit; the message says at
 *   which byte. Blocks before that were yielded.
 * @throws {IntegrityError} A block does not hash to its CID; `offset` is where it begins in the CAR.
 * @throws {UnsupportedError} Another version, or a block under a hash function that is not known here.
 * @see https://ipld.io/specs/transport/car/carv1/
 * @see https://ipld.io/specs/transport/car/carv2/
 * @see https://specs.ipfs.tech/bitswap-protocol/#block-sizes
 */
export async function readCar(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: ReadCarOptions = {},
): Promise<Car> {
  const { signal, maxBlockBytes = MAX_BLOCK_BYTES, maxHeaderBytes = MIB } = options
  assertLimit('maxBlockBytes', maxBlockBytes)
  assertLimit('maxHeaderBytes', maxHeaderBytes)
  const car = createCarSource(source, { signal })
  try {
    const header = await readHeader(car, maxHeaderBytes)
    options.onProgress?.(car.offset)
    return { ...header, blocks: closing(readBlocks(car, { ...options, maxBlockBytes }), car) }
  } catch (error) {
    await closeAfterFailure(car)
    throw error
  }
}

// Compared with NaN, no length would be too large.
function assertLimit(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return
  throw new InvalidInputError(`${name} ${value} is not a number of bytes`, { input: String(value) })
}

async function readHeader(car: CarSource, maxHeaderBytes: number): Promise<Pick<Car, 'version' | 'roots'>> {
  if (!(await car.hasMore())) car.refuse()('it is empty')
  const first = await readHeaderBytes(car, maxHeaderBytes)
  if (!isV2Pragma(first)) return { version: 1, roots: decodeCarHeader(first, car.refuse(0)) }
  const at = car.offset
  const { start, end } = decodeV2Header(await read(car, V2_HEADER_BYTES), car.refuse(at))
  await car.skip(start - car.offset)
  car.endAt(end)
  return { version: 2, roots: decodeCarHeader(await readHeaderBytes(car, maxHeaderBytes), car.refuse(start)) }
}

async function readHeaderBytes(car: CarSource, maxHeaderBytes: number): Promise<Uint8Array> {
  const refuse = car.refuse()
  const length = await car.readVarint()
  if (length > maxHeaderBytes) refuse(`a header of ${length} bytes, ${maxHeaderBytes} are allowed`)
  return read(car, length)
}

async function read(car: CarSource, byteLength: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(byteLength)
  await car.readInto(bytes)
  return bytes
}

type BlockOptions = ReadCarOptions & { maxBlockBytes: number }

async function* readBlocks(car: CarSource, options: BlockOptions): AsyncGenerator<Block> {
  try {
    while (await car.hasMore()) {
      options.signal?.throwIfAborted()
      const block = await readBlock(car, options)
      options.signal?.throwIfAborted()
      options.onProgress?.(car.offset)
      yield block
    }
  } catch (error) {
    await closeAfterFailure(car)
    throw error
  } finally {
    await car.close()
  }
}

async function readBlock(car: CarSource, { maxBlockBytes, verify = 'each-block' }: BlockOptions): Promise<Block> {
  const at = car.offset
  const refuse = car.refuse(at)
  const length = await car.readVarint()
  // go-car too takes null padding for an error unless told otherwise: https://github.com/ipld/go-car
  if (length === 0) refuse('a section without bytes')
  if (length > maxBlockBytes + MAX_CID_BYTES)
    refuse(`a section of ${length} bytes, blocks of ${maxBlockBytes} are allowed`)
  const head = await read(car, Math.min(length, MAX_CID_BYTES))
  const { cid, byteLength } = readCidBytes(head, refuse)
  const blockBytes = length - byteLength
  if (blockBytes > maxBlockBytes) refuse(`${cid}: a block of ${blockBytes} bytes, ${maxBlockBytes} are allowed`)
  const { code, digest } = cid.multihash
  if (verify === 'each-block' && !DIGEST_BYTES.has(code) && code !== IDENTITY) {
    throw new UnsupportedError(
      `${cid}, at byte ${at} of the CAR: hash function 0x${code.toString(16)} is not supported`,
    )
  }
  if (code === IDENTITY && blockBytes !== digest.length)
    refuse(`${cid}: a block of ${blockBytes} bytes under an inline CID`)
  const bytes = new Uint8Array(blockBytes)
  bytes.set(head.subarray(byteLength))
  await car.readInto(bytes.subarray(head.length - byteLength))
  if (verify === 'each-block') await verifyAt(at, { cid, bytes })
  return { cid, bytes }
}

async function verifyAt(offset: number, { cid, bytes }: Block): Promise<void> {
  try {
    await verifyBlock(cid, bytes)
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause
    const message = `${cid}: the block at byte ${offset} of the CAR does not match`
    throw new IntegrityError(message, { cid, actual: cause.actual, offset, cause })
  }
}

/** The first error says more than one from closing, as in `for await`. */
async function closeAfterFailure(car: CarSource): Promise<void> {
  await car.close().catch(() => undefined)
}

/** A generator that was never asked for a block has run none of its `finally`. */
function closing(blocks: AsyncGenerator<Block>, car: CarSource): AsyncGenerator<Block> {
  const finish = blocks.return.bind(blocks)
  return Object.assign(blocks, {
    return: async (value: unknown) => {
      try {
        await car.close()
      } finally {
        await finish(value)
      }
      return { done: true, value }
    },
  })
}
