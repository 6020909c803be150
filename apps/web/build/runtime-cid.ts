import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** The CID of the `.wasm` of a build of ONNX Runtime Web: version 1, one raw block, SHA-256. Nothing of ours has to be built before. */
export function runtimeCid(build: 'jspi' | 'asyncify'): string {
  const bytes = readFileSync(require.resolve(`onnxruntime-web/ort-wasm-simd-threaded.${build}.wasm`))
  const digest = createHash('sha256').update(bytes).digest()
  return `b${base32(Uint8Array.of(1, 0x55, 0x12, digest.length, ...digest))}`
}

/** RFC 4648, lower case, without padding. */
function base32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
  return Array.from(bits.match(/.{1,5}/g) ?? [], (five) => BASE32[Number.parseInt(five.padEnd(5, '0'), 2)]).join('')
}
