// npm run setup:versitygw: builds an S3 server into the cache, where it is not there yet.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { findGos, runGo } from '../go.ts'
import { makeCached } from '../tool-cache.ts'
import { findVersitygw, PROGRAM, VERSION, versitygwFolder } from './find-versitygw.ts'

const MODULE = 'github.com/versity/versitygw/cmd/versitygw'
const here = fileURLToPath(new URL('.', import.meta.url))

if (findVersitygw() === undefined) {
  const [go] = findGos()
  if (go === undefined) {
    console.error('no Go to build versitygw with: install Go 1.25 or later')
    process.exit(1)
  }
  console.error(`building versitygw ${VERSION}, which takes minutes`)
  makeCached(versitygwFolder(), (partial) => {
    runGo(go, here, ['build', '-trimpath', '-buildvcs=false', '-o', join(partial, PROGRAM), MODULE])
  })
}
console.log(`versitygw ${VERSION}`)
