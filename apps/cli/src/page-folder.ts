import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { pageDirectory } from '@x/web-app'

/** Where the page lies that comes with the command line; `undefined` in a checkout in which it was not built. */
export function pageFolder(): string | undefined {
  const folder = fileURLToPath(pageDirectory)
  return existsSync(path.join(folder, 'index.html')) ? folder : undefined
}
