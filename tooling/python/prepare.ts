// npm run setup:python: makes the Python environments that tests compare with, in the cache, and says which there are.
import { existsSync } from 'node:fs'

import { environmentFolder, PURPOSES } from './environments.ts'
import { prepareEnvironment } from './prepare-environment.ts'

for (const purpose of PURPOSES) {
  try {
    prepareEnvironment(purpose)
    console.log(`Python for ${purpose}: ready`)
  } catch (error) {
    console.error(`Python for ${purpose}: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
if (PURPOSES.some((purpose) => !existsSync(environmentFolder(purpose)))) {
  console.error('what is missing needs a network and Python 3.10 with its module venv')
}
