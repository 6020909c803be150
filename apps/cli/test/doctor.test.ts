import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'

import { expect, it } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const problem = (what: RegExp, fix: RegExp): object => ({
  severity: 'problem',
  what: expect.stringMatching(what),
  fix: expect.stringMatching(fix),
})

it('names a daemon that is not there, and how to start it or to do without', async () => {
  const environment = { IPFS_ACCELERATE_KUBO_URL: `http://127.0.0.1:${await freePort()}` }
  const store = await temporaryDirectory()
  const found = await cli(['doctor', '--json', '--store', store], { environment })
  const own = problem(/^IPFS_ACCELERATE_KUBO_URL: /, /ipfs daemon.*config set gates\.kubo off/)
  expect(found).toMatchObject({ code: 1, lines: [{ findings: expect.arrayContaining([own]) }] })
  const off = { ...environment, IPFS_ACCELERATE_KUBO: 'off' }
  const without = await cli(['doctor', '--json', '--store', store], { environment: off })
  expect(without.stdout).not.toContain('IPFS_ACCELERATE_KUBO_URL')
})

it('names the line of a configuration, a misspelt variable, what is required and a store that is not there', async () => {
  const folder = await temporaryDirectory()
  const file = path.join(folder, 'a.toml')
  await writeFile(file, '[gates]\nkubo = "of"\n')
  const environment = { IPFS_ACCELERATE_KUBOO: '1', IPFS_ACCELERATE_S3: 'require' }
  const argv = ['doctor', '--json', '--config', file, '--store', path.join(folder, 'none')]
  const { code, lines } = await cli(argv, { environment })
  expect(code).toBe(1)
  expect(lines[0]?.['findings']).toEqual(
    expect.arrayContaining([
      problem(/a\.toml:2: gates\.kubo: is none of/, /edit the file/),
      problem(/^s3 is required, and none was named/, /set that gate to prefer/),
      expect.objectContaining({ severity: 'warning', what: expect.stringMatching(/IPFS_ACCELERATE_KUBO meant/) }),
    ]),
  )
})

it('says of a store that is not there where it was looked for', async () => {
  const store = path.join(await temporaryDirectory(), 'none')
  const { code, lines } = await cli(['doctor', '--json', '--store', store])
  const findings = expect.arrayContaining([problem(/^store: .*none/, /--store/)])
  expect({ code, findings: lines[0]?.['findings'] }).toEqual({ code: 1, findings })
})
