import type { ModelFile, TrustedSigner } from '../src/index.ts'
import made from './fixtures/python-tool.json' with { type: 'json' }

export const keys: (typeof made)['keys'] = made.keys
export const certificates: (typeof made)['certificates'] = made.certificates

type BundleName = keyof typeof made.bundles

/** What `model_signing` wrote. */
export const bundleOf = (name: BundleName): Uint8Array => new TextEncoder().encode(made.bundles[name])

export interface ModelFileWithBytes extends ModelFile {
  bytes: Uint8Array
}

const fromBinary = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

/** The model that was signed. */
export const files: ModelFileWithBytes[] = Object.entries(made.files).map(([path, { sha256, base64 }]) => ({
  path,
  sha256: fromBinary(sha256.replaceAll(/../g, (byte) => String.fromCharCode(Number.parseInt(byte, 16)))),
  bytes: fromBinary(atob(base64)),
}))

export const byKey = (curve: 'P-256' | 'P-384' | 'P-521'): TrustedSigner => ({ name: curve, key: keys[curve].public })

export const byRoot: TrustedSigner = { name: 'root', certificate: certificates.root }

/** The same files, where one of them has other bytes. */
export function tampered(path: string): ModelFileWithBytes[] {
  return files.map((file) => (file.path === path ? { ...file, sha256: file.sha256.toReversed() } : file))
}

/** In pieces of odd lengths. */
export async function* read(path: string): AsyncGenerator<Uint8Array> {
  const { bytes = new Uint8Array(0) } = files.find((file) => file.path === path) ?? {}
  for (let at = 0; at < bytes.length; at += 77) yield bytes.subarray(at, at + 77)
}
