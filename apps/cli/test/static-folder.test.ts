import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'

import { writeFixtureModel } from '@x/fixtures'
import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'

/** Python's own web server, which knows no ranges. Resolves to its URL. */
async function serveFolder(directory: string, { skip }: Pick<TestContext, 'skip'>): Promise<string> {
  if (spawnSync('python3', ['--version']).status !== 0) skip('there is no python3 with a web server')
  const args = ['-u', '-m', 'http.server', '--bind', '127.0.0.1', '--directory', directory, '0']
  const server = spawn('python3', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  onTestFinished(async () => {
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  })
  for await (const line of createInterface({ input: server.stdout })) {
    const [, port] = /port (\d+)/.exec(line) ?? []
    if (port !== undefined) return `http://127.0.0.1:${port}`
  }
  throw new Error('the web server ended')
}

it('a model in a folder of a plain web server is pulled and run', async (context) => {
  const folder = await temporaryDirectory()
  const model = path.join(folder, 'tiny-bert')
  await writeFixtureModel('tiny-bert', model)
  const json = ['--json', '--store', path.join(folder, 'store')]
  const cid = String((await cli(['model', 'add', model, ...json])).lines[0]?.['cid'])
  const site = path.join(folder, 'site')
  const exported = await cli(['export', cid, '--static', site, ...json])
  expect(exported).toMatchObject({ code: 0, lines: [{ cid, path: site }] })
  // What is there is not written again.
  expect((await cli(['export', cid, '--static', site, ...json])).lines).toMatchObject([{ cid, objects: 0 }])
  expect((await readdir(site)).toSorted()).toEqual(['blocks', 'ipfs-accelerate-static.json', 'roots'])
  const url = await serveFolder(site, context)
  const into = ['--json', '--store', path.join(folder, 'into')]
  expect(await cli(['pull', cid, '--from', `static=${url}`, ...into])).toMatchObject({ code: 0, lines: [{ cid }] })
  const ran = await cli(['run', 'feature-extraction', 'hello', '--model', cid, ...into])
  expect(ran).toMatchObject({ code: 0, lines: [{ receipt: { model: cid } }] })
  const absent = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
  expect(await cli(['pull', absent, '--from', `static=${url}`, ...into])).toMatchObject({ code: 3 })
})

it('export wants a folder', async () => {
  const store = path.join(await temporaryDirectory(), 'store')
  expect(await cli(['export', 'bafkqaaa', '--store', store])).toMatchObject({ code: 2 })
})
