// npm run setup:gateway-conformance: builds the public suite into the cache, where it is not there yet.
import { copyFileSync, globSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { findGos, runGo } from '../go.ts'
import { makeCached } from '../tool-cache.ts'
import { findGatewayConformance, FIXTURES, PROGRAM, suiteFolder, SUITE_VERSION } from './find-gateway-conformance.ts'

const MODULE = 'github.com/ipfs/gateway-conformance'
const here = fileURLToPath(new URL('.', import.meta.url))

function build(go: string, partial: string): void {
  // The suite's own program runs `go test` each time; its tests can be built once.
  runGo(go, here, ['test', '-c', '-trimpath', '-o', join(partial, PROGRAM), `${MODULE}/tests`])
  const sources = runGo(go, here, ['list', '-m', '-f', '{{.Dir}}', MODULE]).trim()
  // One by one: the folders of Go's cache are read-only.
  for (const file of globSync(`${FIXTURES}/**/*.*`, { cwd: sources })) {
    mkdirSync(join(partial, dirname(file)), { recursive: true })
    copyFileSync(join(sources, file), join(partial, file))
  }
}

if (!findGatewayConformance()) {
  const [go] = findGos()
  if (go === undefined) {
    console.error('no Go to build gateway-conformance with: install Go 1.25 or later')
    process.exit(1)
  }
  console.error(`building gateway-conformance ${SUITE_VERSION}`)
  makeCached(suiteFolder(), (partial) => build(go, partial))
}
console.log(`gateway-conformance ${SUITE_VERSION}`)
