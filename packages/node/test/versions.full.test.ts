import { beforeAll } from 'vitest'

import { prepareVersion, TOO_OLD, VERSIONS, versionContract } from './versions.ts'

beforeAll(() => {
  for (const version of [...VERSIONS, TOO_OLD]) {
    try {
      prepareVersion(version)
    } catch (error) {
      // Its tests are skipped, and say so.
      console.warn(`transformers.js ${version} could not be installed: ${error instanceof Error ? error.message : ''}`)
    }
  }
})

for (const version of VERSIONS) versionContract(version)
