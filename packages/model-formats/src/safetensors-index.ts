import { InvalidInputError } from '@x/cid'

import { createJsonReader, type JsonReader } from './json-reader.ts'
import { MAX_NAME_BYTES, MAX_TABLE_BYTES, MAX_TENSORS } from './limits.ts'
import { quoted } from './quoted.ts'
import { utf8Length } from './utf8.ts'

const WEIGHT_MAP = 'weight_map'

/**
 * Reads the index of a checkpoint in several files (`model.safetensors.index.json`): which file each tensor is in. What else
 * it says is passed over, `metadata.total_size` as well: many indexes have none.
 *
 * @param label - What messages call it.
 * @returns From the name of a tensor to that of a file, in the order of the index. Whether there are such is not checked.
 * @throws {InvalidInputError} It is no strict JSON, has no `weight_map`, or a name twice.
 */
export function readSafetensorsIndex(bytes: Uint8Array, label: string): Map<string, string> {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${label} is no index of safetensors files: ${why}`, { input: label })
  }
  const json = createJsonReader(bytes, (why, at) => refuse(`${why} at byte ${at}`))
  let files: Map<string, string> | undefined
  eachKey(json, (key) => {
    if (key !== WEIGHT_MAP) return json.skipValue()
    if (files) refuse(`it has a second ${WEIGHT_MAP}`)
    files = readWeightMap(json, refuse)
  })
  if (json.peek() !== undefined) refuse(`there is something behind it at byte ${json.at}`)
  return files ?? refuse(`it has no ${WEIGHT_MAP}`)
}

function readWeightMap(json: JsonReader, refuse: (why: string) => never): Map<string, string> {
  const files = new Map<string, string>()
  // A file has many tensors, and one name in memory.
  const names = new Map<string, string>()
  let kept = 0
  eachKey(json, (tensor) => {
    if (files.has(tensor)) refuse(`it names ${quoted(tensor)} twice`)
    if (files.size === MAX_TENSORS) refuse(`it names over ${MAX_TENSORS} tensors`)
    const file = json.text(MAX_NAME_BYTES)
    kept += utf8Length(tensor) + (names.has(file) ? 0 : utf8Length(file))
    if (kept > MAX_TABLE_BYTES) refuse(`its names are over ${MAX_TABLE_BYTES} bytes long`)
    if (!names.has(file)) names.set(file, file)
    files.set(tensor, names.get(file) ?? file)
  })
  return files
}

function eachKey(json: JsonReader, onKey: (key: string) => void): void {
  json.expect('{')
  if (json.accept('}')) return
  do {
    const key = json.text(MAX_NAME_BYTES)
    json.expect(':')
    onKey(key)
  } while (json.accept(','))
  json.expect('}')
}
