import { MAX_NAME_BYTES } from './limits.ts'
import { utf8Length } from './utf8.ts'

/**
 * The path of an external data file, relative to the graph's folder, without `.` and empty parts. `undefined`: it leaves
 * the folder, is absolute on some platform, or names no file. ONNX Runtime's `_ORT_MEM_ADDR_` stands for an address in
 * memory, which no file may name.
 */
export function toDataFile(location: string): string | undefined {
  if (location === '' || location.includes('\0') || location.includes('\\') || location.startsWith('/'))
    return undefined
  if (location.includes('_ORT_MEM_ADDR_') || /^[a-z][a-z0-9+.-]*:/i.test(location)) return undefined
  if (!location.isWellFormed() || utf8Length(location) > MAX_NAME_BYTES) return undefined
  const parts = location.split('/').filter((part) => part !== '' && part !== '.')
  return parts.length === 0 || parts.includes('..') || location.endsWith('/') ? undefined : parts.join('/')
}
