import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { expect, it } from 'vitest'

import { buildPath } from '../src/index.ts'
import { someBytes, tempDirectory } from './support.ts'

const PRELOADED = `data:text/javascript,process.stdout.write('loaded\\n')`

it.each(['flag', 'NODE_OPTIONS'])(
  'what is loaded before the program by %s is not loaded in the threads',
  async (how) => {
    const file = join(await tempDirectory(), 'file')
    await writeFile(file, someBytes(3 * 1024 * 1024))
    const program = fileURLToPath(new URL('children/build-path.ts', import.meta.url))
    const flag = `--import=${PRELOADED}`
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--conditions=@x/source', ...(how === 'flag' ? [flag] : []), program, file],
      { env: { ...process.env, NODE_OPTIONS: how === 'flag' ? '' : flag } },
    )
    const { cid } = await buildPath(file)
    expect(stdout).toBe(`loaded\n${cid}\n`)
  },
)
