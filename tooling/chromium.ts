import { existsSync } from 'node:fs'
import process from 'node:process'

/** Where Chromium is looked for: `CHROMIUM_PATH`, else where Debian puts it. */
export const CHROMIUM: string = process.env['CHROMIUM_PATH'] || '/usr/bin/chromium'

/** Why there is none; `undefined` where there is. */
export const whyNoChromium = (): string | undefined =>
  existsSync(CHROMIUM) ? undefined : `there is no Chromium at ${CHROMIUM}; CHROMIUM_PATH names one`

/** Quiet, and with WebGPU, which SwiftShader computes where there is no GPU. */
export const CHROMIUM_ARGUMENTS: readonly string[] = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--enable-unsafe-webgpu',
]

/** No name is looked up: nothing but this machine is reached. */
export const LOOPBACK_ALONE = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'
