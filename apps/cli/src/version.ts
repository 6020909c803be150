import { readFileSync } from 'node:fs'

/** Of this package; it lies one folder above `src` and `dist` alike. */
export const VERSION: string = readVersion(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

function readVersion(text: string): string {
  const manifest: unknown = JSON.parse(text)
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version)
  throw new Error('package.json has no version')
}
