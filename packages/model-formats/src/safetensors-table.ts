import {
  endsInside,
  goesOn,
  HEADER,
  LENGTH_OF_HEADER,
  notWhole,
  PREFIX_BYTES,
  readHeaderLength,
  readSafetensorsHeader,
  tensorCalled,
} from './safetensors-header.ts'
import type { ScannedFile } from './scanner.ts'
import type { RangeReader } from './skeleton.ts'

export interface ReadTableOptions {
  /** What messages call the file. */
  label: string
  signal?: AbortSignal | undefined
}

/** Most headers are in it whole. */
const FIRST_BYTES = 65_536
/** Of a longer one, so that it is not there twice. */
const MORE_BYTES = 8 * 2 ** 20

/**
 * The tensors of a safetensors file of which no more than the header is read: without digests, and else as a scanner finds
 * them. Nothing is read for a header that is longer than the file or than the reference implementation allows.
 *
 * @throws {InvalidInputError} What a scanner refuses; that the file is as long as its tensors say included.
 */
export async function readSafetensorsTable(
  file: RangeReader,
  { label, signal }: ReadTableOptions,
): Promise<ScannedFile> {
  const refuse = (why: string): never => {
    throw notWhole(label, why)
  }
  if (file.size < PREFIX_BYTES) refuse(endsInside(file.size, LENGTH_OF_HEADER))
  const first = await file.read(0, Math.min(file.size, FIRST_BYTES), { signal })
  const dataAt = PREFIX_BYTES + readHeaderLength(first.subarray(0, PREFIX_BYTES), refuse)
  if (dataAt > file.size) refuse(endsInside(file.size, HEADER))
  let header = first.subarray(PREFIX_BYTES, dataAt)
  if (dataAt > first.length) {
    header = new Uint8Array(dataAt - PREFIX_BYTES)
    header.set(first.subarray(PREFIX_BYTES))
    for (let at = first.length; at < dataAt; at += MORE_BYTES) {
      header.set(await file.read(at, Math.min(MORE_BYTES, dataAt - at), { signal }), at - PREFIX_BYTES)
    }
  }
  const { tensors, metadata } = readSafetensorsHeader(header, refuse)
  const cut = tensors.find(({ offset, length }) => offset + length > file.size)
  if (cut) refuse(endsInside(file.size, tensorCalled(cut.name)))
  const last = tensors.at(-1)
  const end = last ? last.offset + last.length : dataAt
  if (end < file.size) refuse(goesOn(end))
  return { table: { schema: 1, format: 'safetensors', tensors }, metadata }
}
