import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { expect, it } from 'vitest'

import { serverFor } from './support.ts'

const folder = fileURLToPath(new URL('..', import.meta.url))
const readme = await readFile(`${folder}README.md`, 'utf8')

function blockOf(language: string): string {
  const block = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(readme)?.[1]
  if (block === undefined) throw new Error(`the README has no ${language} block`)
  return block
}

it('the README shows what its example prints', async (context) => {
  const server = await serverFor(context)
  await server.createBucket('models')
  await server.put('models', 'tiny/config.json', '{"model_type": "bert"}')
  await server.put('models', 'tiny/model.gguf', 'GGUF')
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--conditions=@x/source',
      '--disable-warning=ExperimentalWarning',
      '--input-type=module-typescript',
      '--eval',
      blockOf('ts'),
    ],
    {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        AWS_ENDPOINT_URL_S3: server.url,
        AWS_REGION: server.region,
        AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
      },
    },
  )
  expect(stdout).toBe(blockOf('text'))
})
