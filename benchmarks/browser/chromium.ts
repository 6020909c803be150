import { existsSync } from 'node:fs'

const path = process.env['CHROMIUM_PATH'] || '/usr/bin/chromium'

/** A Chromium to measure in, or why there is none. */
export function findChromium(): { path: string } | { why: string } {
  if (process.platform !== 'linux') return { why: 'private memory is read from /proc, so on Linux alone' }
  return existsSync(path) ? { path } : { why: `no Chromium at ${path}; CHROMIUM_PATH names one` }
}

/** WebGPU is computed by SwiftShader. Nothing but this machine is reached. */
export const CHROMIUM_ARGUMENTS: readonly string[] = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--enable-unsafe-webgpu',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
]
