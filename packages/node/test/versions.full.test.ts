import { beforeAll } from 'vitest'

import { prepareVersion, TOO_OLD, VERSIONS, versionContract } from './versions.ts'

beforeAll(() => {
  for (const version of [...VERSIONS, TOO_OLD]) prepareVersion(version)
})

for (const version of VERSIONS) versionContract(version)
